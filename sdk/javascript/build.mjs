// Builds a plugin: `node build.mjs SOURCE_FOLDER OUT.wasm`.
//
// The exported functions of `plugin.ts` or `plugin.js` become the tools of the world
// `tool-plugin`. In a folder that has a `wit/` of its own, the module is componentized
// against that world as it is.

import { existsSync, renameSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { withoutInit } from "./unexport.mjs";

const sdk = dirname(fileURLToPath(import.meta.url));
const [folder, out] = process.argv.slice(2);
if (!folder || !out) fail("usage: node build.mjs SOURCE_FOLDER OUT.wasm");

const { esbuild, componentize, findTools } = await dependencies();
const source = ["plugin.ts", "plugin.js"].map((name) => resolve(folder, name)).find(existsSync);
if (!source) fail(`${folder}: neither a plugin.ts nor a plugin.js`);

const ownWit = resolve(folder, "wit");
const isPlain = existsSync(ownWit);
const js = await bundle(isPlain ? `export * from ${JSON.stringify(source)};` : entry());
const component = await componentized(js);
// Moved when it is whole: a server may be looking at the folder.
const whole = `${resolve(out)}.${process.pid}`;
writeFileSync(whole, component);
renameSync(whole, resolve(out));

/** The module that joins the author's functions, what is known of them, and the host. */
function entry() {
  const { tools, problems } = findTools(source);
  if (problems.length > 0) fail(problems.join("\n"));
  const names = tools.map(({ declaration }) => declaration.name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice) fail(`${source}: two tools are called \`${twice}\``);
  const list = tools.map(
    ({ name, ...tool }) => `{ ...${JSON.stringify(tool)}, function: plugin[${JSON.stringify(name)}] }`,
  );
  return [
    `import { serve } from ${JSON.stringify(join(sdk, "serve.js"))};`,
    `import * as plugin from ${JSON.stringify(source)};`,
    'import * as call from "bulkhead:plugin/call@0.2.0";',
    `export const tools = serve(call, [${list.join(",\n")}]);`,
  ].join("\n");
}

async function bundle(contents) {
  const result = await esbuild.build({
    stdin: { contents, resolveDir: resolve(folder), sourcefile: "bulkhead-entry.js" },
    alias: {
      "bulkhead-sdk": join(sdk, "index.js"),
      "bulkhead-sdk/promise": join(sdk, "promise.js"),
    },
    bundle: true,
    charset: "utf8",
    format: "esm",
    legalComments: "none",
    logLevel: "silent",
    mainFields: ["module", "main"],
    platform: "neutral",
    plugins: [imports()],
    // A promise of the engine is settled after the call has been answered: see promise.js.
    supported: isPlain ? {} : { "async-await": false, "async-generator": false, "for-await": false },
    target: "es2023",
    tsconfigRaw: {},
    write: false,
  }).catch(({ errors }) => {
    const where = ({ location }) => (location ? `${resolve(location.file)}:${location.line}: ` : "");
    fail(errors.map((error) => where(error) + error.text).join("\n"));
  });
  return result.outputFiles[0].text;
}

/** What is imported from the host stays; what is Node's is refused in words. */
function imports() {
  const noNode = (path) => ({
    errors: [{ text: `\`${path}\` is a part of Node, which the sandbox does not have` }],
  });
  // A package may have the name of a part of Node, such as `events` or `buffer`.
  const isInstalled = (path, importer) => {
    for (let at = dirname(importer); at !== dirname(at); at = dirname(at)) {
      if (existsSync(join(at, "node_modules", path))) return true;
    }
    return false;
  };
  return {
    name: "imports",
    setup(build) {
      build.onResolve({ filter: /^[a-z][a-z0-9-]*:/ }, ({ path }) =>
        path.startsWith("node:") ? noNode(path) : { path, external: true },
      );
      build.onResolve({ filter: /^[a-z_]+(\/[a-z_]+)?$/ }, ({ path, importer }) =>
        builtinModules.includes(path) && !isInstalled(path, importer) ? noNode(path) : undefined,
      );
    },
  };
}

async function componentized(jsSource) {
  try {
    const { component } = await componentize({
      jsSource,
      // Without the async ABI: the host's faster engine serves the component.
      sync: true,
      ...(isPlain ? { witPath: ownWit } : { witPath: join(sdk, "wit"), world: "tool-plugin" }),
    });
    return withoutInit(component);
  } catch (error) {
    fail(`${source}: ${error.message.replace(/^[:\s]+|\s+$/g, "")}`);
  }
}

async function dependencies() {
  try {
    const [esbuild, { componentize }, { findTools }] = await Promise.all([
      import("esbuild"),
      import("componentize-qjs"),
      import("./tools.mjs"),
    ]);
    return { esbuild, componentize, findTools };
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    fail(`${error.message.split("\n")[0]}: run \`npm install\` in ${resolve(folder)}`);
  }
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
