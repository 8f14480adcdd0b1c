import test from 'ava';
import { baseName, parentOf, validatePath } from '../../../coord/tree/path.ts';

test('PathUtils: which paths are paths', (t) => {
  for (const path of ['/', '/a', '/a/b', '/a b', '/...', '/.a', '/a.', '/..a', '/é', '/漢', '/\u00a0', '/\ufeff']) t.true(validatePath(path), path);
  for (const path of [
    '', 'a', 'a/b', '/a/', '//', '//a', '/a//b', '/.', '/..', '/a/.', '/a/..', '/./a', '/../a', '/a/./b', '/a\0', '/\u001f', '/\u007f', '/\u009f', '/\ud83d\ude00', '/\ue000',
    '/\uf8ff', '/\ufff0', '/\uffff',
  ]) t.false(validatePath(path), JSON.stringify(path));
});

test('halves of a path', (t) => {
  t.deepEqual(['/', '/a', '/a/b'].map(parentOf), ['/', '/', '/a']);
  t.deepEqual(['/', '/a', '/a/b'].map(baseName), ['', 'a', 'b']);
});
