#!/usr/bin/env node
// The entry of the command line. Plain JavaScript that an old Node can parse: it checks the version in one clear line,
// then loads, in this same process, drey.ts (a checkout, on a Node that strips types) or dist/ (an installed package).
var v = process.versions.node.split('.').map(Number);
if (v[0] < 20 || (v[0] === 20 && v[1] < 19)) {
  console.error('drey needs Node 20.19 or newer; this is ' + process.version + '.');
  process.exit(1);
}
// Before anything uses the pool: a server has several journal writes and LevelDB in flight at once.
process.env.UV_THREADPOOL_SIZE = process.env.UV_THREADPOOL_SIZE || '8';
Promise.all([import('node:fs'), import('node:module')]).then(function (modules) {
  var fs = modules[0];
  // Keeps what was compiled, and what types were stripped from, for the next process: a server starts in half the time.
  if (modules[1].enableCompileCache) modules[1].enableCompileCache();
  var source = new URL('./drey.ts', import.meta.url);
  var built = new URL('./dist/drey.js', import.meta.url);
  var fromSource = process.features.typescript && fs.existsSync(source);
  if (!fromSource && !fs.existsSync(built)) {
    console.error('drey is not built: run `npm install` (or `npm run build`) in ' + new URL('.', import.meta.url).pathname);
    process.exit(1);
  }
  return import(fromSource ? source.href : built.href);
}).catch(function (e) {
  console.error(e);
  process.exit(1);
});
