// Cases for the SDK of JavaScript: `sdk.mjs CASE FACTS`, run where the package is installed.

import assert from "node:assert";
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const load = createRequire(pathToFileURL(`${process.cwd()}/package.json`));
const {WorkspaceClient} = load("@databricks/sdk-experimental");

const facts = JSON.parse(process.argv[3]);
const clusterId = facts.cluster;
const api = new WorkspaceClient({host: facts.host, token: facts.token, authType: "pat"}).commandExecution;

async function withContext(work) {
    const made = await (await api.create({clusterId, language: "python"})).wait();
    assert.strictEqual(made.status, "Running");
    try {
        await work(made.id);
    } finally {
        await api.destroy({clusterId, contextId: made.id});
    }
}

const execute = (contextId, command) => api.execute({clusterId, contextId, language: "python", command});

const cases = {
    async a_command_runs() {
        await withContext(async contextId => {
            const ended = await (await execute(contextId, "print('juhu')")).wait();
            assert.strictEqual(ended.status, "Finished");
            assert.deepStrictEqual([ended.results.resultType, ended.results.data], ["text", "juhu"]);
            const failed = await (await execute(contextId, "1/0")).wait();
            assert.strictEqual(failed.status, "Finished");
            assert.match(failed.results.summary, /ZeroDivisionError/);
        });
    },

    async a_cancel_is_waited_for() {
        await withContext(async contextId => {
            const command = await execute(contextId, "import time; time.sleep(600)");
            const cancel = await api.cancel({clusterId, contextId, commandId: command.id});
            // It reads the cause at every poll.
            const ended = await cancel.wait();
            assert.strictEqual(ended.status, "Cancelled");
            assert.match(ended.results.cause, /CommandCancelledException/);
            assert.strictEqual((await (await execute(contextId, "print(2)")).wait()).results.data, "2");
        });
    },

    async an_unknown_context_is_named() {
        await assert.rejects(api.contextStatus({clusterId, contextId: "1234567890123456789"}), error => {
            assert.match(error.message, /^Response from server \(Internal Server Error\) /);
            assert.match(error.message, /"ContextNotFound: 1234567890123456789"/);
            return true;
        });
    },
};

await cases[process.argv[2]]();
