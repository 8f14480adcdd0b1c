import test from 'ava';
import { parseConnectString } from '../../../coord/client/connect-string.ts';

test('servers, scheme and chroot', (t) => {
  t.deepEqual(parseConnectString('a:1'), { protocol: 'zk', servers: [{ host: 'a', port: 1 }], chroot: '' });
  t.deepEqual(parseConnectString('a'), { protocol: 'zk', servers: [{ host: 'a', port: 2181 }], chroot: '' });
  t.deepEqual(parseConnectString('zk://a:1, b.example:65535/'), { protocol: 'zk', servers: [{ host: 'a', port: 1 }, { host: 'b.example', port: 65535 }], chroot: '' });
  t.deepEqual(parseConnectString('drey://10.0.0.1:8080,[::1]:8081/app/x'), {
    protocol: 'drey', servers: [{ host: '10.0.0.1', port: 8080 }, { host: '::1', port: 8081 }], chroot: '/app/x',
  });
});

test('what makes no sense is refused, with the reason', (t) => {
  const reasons: Record<string, RegExp> = {
    '': /a server is missing/, 'a:1,,b:1': /a server is missing/, 'http://a:1': /unknown scheme "http"/, 'a:0': /between 1 and 65535/, 'a:65536': /between 1 and 65535/,
    'a:x': /"a:x" is not host:port/, '::1': /not host:port/, 'a:1/app/': /chroot "\/app\/" ends with \//, 'a:1//x': /chroot/, 'a b:1': /not host:port/,
  };
  for (const [text, reason] of Object.entries(reasons)) {
    const error = t.throws(() => parseConnectString(text), undefined, text);
    t.regex(error?.message ?? '', reason, text);
    t.is((error as { code?: string }).code, 'COORD_CONNECT_STRING');
  }
});
