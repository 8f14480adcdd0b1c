import { createHash } from 'node:crypto';
import test from 'ava';
import { authenticate, checkAcl, ipMatches } from '../../../coord/tree/acl.ts';
import { Perms } from '../../../coord/wire/codes.ts';

const digest = (userPassword: string): string => createHash('sha1').update(userPassword).digest('base64');
const auth = (text: string): Uint8Array => Buffer.from(text);

test('digest: the id is the user and the hash of user and password, as ZooKeeper documents it', (t) => {
  t.deepEqual(authenticate('digest', auth('super:admin'), '', digest, null), { scheme: 'digest', id: 'super:xQJmxLMiHGwaqBvst5y6rkB6HQs=' });
  t.deepEqual(authenticate('digest', auth('super:admin'), '', digest, 'super:xQJmxLMiHGwaqBvst5y6rkB6HQs='), { scheme: 'super', id: '' });
  t.deepEqual(authenticate('digest', auth('super:wrong'), '', digest, 'super:xQJmxLMiHGwaqBvst5y6rkB6HQs=')?.scheme, 'digest');
  t.is(authenticate('digest', auth('u:p:q'), '', digest, null)?.id, `u:${digest('u:p:q')}`);
  t.is(authenticate('digest', null, '', digest, '')?.scheme, 'digest');
  t.deepEqual(authenticate('ip', null, '10.0.0.1', digest, null), { scheme: 'ip', id: '10.0.0.1' });
  t.is(authenticate('sasl', auth('x'), '', digest, null), null);
});

test('super passes every check; other schemes do not stand for each other', (t) => {
  const acl = [{ perms: Perms.READ, scheme: 'digest', id: 'u:h' }];
  t.true(checkAcl(acl, Perms.WRITE, [{ scheme: 'super', id: '' }]));
  t.false(checkAcl(acl, Perms.WRITE, [{ scheme: 'digest', id: 'u:h' }]));
  t.true(checkAcl(acl, Perms.READ | Perms.ADMIN, [{ scheme: 'digest', id: 'u:h' }]));
  t.false(checkAcl(acl, Perms.READ, [{ scheme: 'ip', id: 'u:h' }]));
  t.false(checkAcl([{ perms: 31, scheme: 'super', id: '' }], Perms.READ, []));
});

test('ip networks', (t) => {
  const table: [string, string, boolean][] = [
    ['10.1.2.3', '10.1.2.3', true], ['10.1.2.3', '10.1.2.4', false], ['10.1.2.3', '10.1.2.4/31', false], ['10.1.2.5', '10.1.2.4/31', true],
    ['1.2.3.4', '0.0.0.0/0', true], ['10.1.130.1', '10.1.128.0/17', true], ['10.1.127.1', '10.1.128.0/17', false],
    ['::1', '::1', true], ['0:0:0:0:0:0:0:1', '::1/128', true], ['2001:db8::1', '2001:db8::/32', true], ['2001:db9::1', '2001:db8::/32', false],
    ['::ffff:10.0.0.1', '10.0.0.0/8', true], ['fe80::1%eth0', 'fe80::/10', true], ['::1', '0.0.0.0/0', false], ['1.2.3.4', '::/0', false],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304', true],
    ['1.2.3.4', '1.2.3', false], ['1.2.3.4', '1.2.3.4/33', false], ['1.2.3.4', '1.2.3.4/', false], ['1.2.3.4', '1.2.3.4/-1', false],
    ['::1', '::1::', false], ['::1', '1:2:3:4:5:6:7', false], ['::1', ':::', false], ['x', '1.2.3.4', false], ['1.2.3.4', '1.2.3.4.5', false],
  ];
  for (const [address, network, expected] of table) t.is(ipMatches(address, network), expected, `${address} in ${network}`);
});
