// Lints docs/openapi.yaml and docs/asyncapi.yaml. Exit 0: both are valid and no rule complains.
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatProblems, lint, loadConfig } from "@redocly/openapi-core";
import { Parser } from "@asyncapi/parser";

const here = dirname(fileURLToPath(import.meta.url));
const docs = join(here, "..", "..", "docs");
let findings = 0;

const config = await loadConfig({ configPath: join(here, "redocly.yaml") });
const problems = await lint({ ref: join(docs, "openapi.yaml"), config });
if (problems.length > 0) {
    const errors = problems.filter((problem) => problem.severity === "error").length;
    formatProblems(problems, { format: "codeframe", totals: { errors, warnings: problems.length - errors, ignored: 0 } });
}
findings += problems.length;

// 0 and 1 are errors and warnings; information such as "a newer version exists" depends on the day.
const { document, diagnostics } = await new Parser().parse(await readFile(join(docs, "asyncapi.yaml"), "utf8"), {
    source: join(docs, "asyncapi.yaml"),
});
for (const diagnostic of diagnostics.filter((d) => d.severity <= 1)) {
    const { line, character } = diagnostic.range.start;
    console.error(`docs/asyncapi.yaml:${line + 1}:${character + 1}: ${diagnostic.code}: ${diagnostic.message}`);
    findings += 1;
}
if (!document) findings += 1;

console.log(`openapi: ${problems.length} findings; asyncapi: ${findings - problems.length} findings`);
process.exitCode = findings === 0 ? 0 : 1;
