import test from 'ava';
import fc from 'fast-check';
import { baseName, joinPath, parentPath, prependChroot, stripChroot, validatePath } from '../../../coord/client/paths.ts';
import { sortBySequence } from '../../../coord/client/recipes/protected-create.ts';

test('paths that are none', (t) => {
  for (const path of ['', 'a', 'a/b', '/a/', '//', '/a//b', '/.', '/..', '/./a', '/a/.', '/a/../b', '/a\u0000', '/a\u0001', '/a\u007f', '/\u009f', '/\ud800', '/\ue000', '/\ufff0', '/x y/\uffff']) {
    t.not(validatePath(path), null, JSON.stringify(path));
  }
  for (const path of ['/', '/a', '/a/b', '/.a', '/a.', '/...', '/a b', '/ü/チ', '/a_-.~:@', '/a/..b']) t.is(validatePath(path), null, path);
});

const name = fc.stringMatching(/^[a-z0-9._-]{1,8}$/).filter((each) => each !== '.' && each !== '..');
const path = fc.array(name, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);

test('a chroot that was put before a path comes off again', (t) => {
  fc.assert(fc.property(path, path, (root, inside) => {
    const chroot = root === '/' ? '' : root;
    const outside = prependChroot(chroot, inside);
    t.is(validatePath(outside), null);
    t.is(stripChroot(chroot, outside), inside);
  }));
});

test('parent and name make the path', (t) => {
  fc.assert(fc.property(path.filter((each) => each !== '/'), (each) => {
    t.is(joinPath(parentPath(each), baseName(each)), each);
  }));
});

test('contenders are sorted by their counter, also where it wraps, and whatever their ids look like', (t) => {
  const at = (guid: string, sequence: string): string => `_c_${guid}-lock-${sequence}`;
  t.deepEqual(
    sortBySequence([at('b', '0000000010'), 'lock-0000000001', at('-_', '0000000009'), at('x-lock-', '0000000002'), '_c_a-other-0000000000', '_c_a-lock-12'], 'lock-'),
    [at('x-lock-', '0000000002'), at('-_', '0000000009'), at('b', '0000000010')],
  );
  t.deepEqual(sortBySequence([at('c', '-2147483648'), at('a', '2147483646'), at('d', '-2147483647'), at('b', '2147483647')], 'lock-'), [
    at('a', '2147483646'), at('b', '2147483647'), at('c', '-2147483648'), at('d', '-2147483647'),
  ]);
});
