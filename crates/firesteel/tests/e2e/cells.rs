//! What goes beyond one language: the first line of a command, whatever the command's own language is.

use serde_json::json;

use crate::api::{error, table, text};
use crate::case::Case;
use crate::r;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![the_first_line_names_the_language, pip_installs_into_the_cluster_s_own_environment]
}

fn the_first_line_names_the_language(server: &Server) {
    let context = server.context("python");
    context.check("%sql select 1 as a", &table(&[("a", "\"integer\"")], json!([[1]])));
    context.check("# a remark\n\n%sql\ncreate temporary view v as select 7 as n", &table(&[], json!([])));
    context.check_in("scala", "%python\nx = spark.table('v').first().n\nx", &text("7"));
    context.check_in("sql", "-- a remark\n%scala val y = 6 * 7", &text("y: Int = 42"));
    context.check("x", &text("7"));
    context.check_in("sql", "%md\n# One\n- two", &text("<h1>One</h1>\n<ul>\n<li>two</li>\n</ul>"));
    context.check_in("scala", "%sh echo from a shell", &text("from a shell"));
    context.check_in("sql", "%fs help", &text("dbutils.fs…"));
    // Errors speak of the text that was sent.
    context.check("%sql\n\nselect nope", &error("…line 3 pos 7…", "…line 3 pos 7…"));
    context.check_in("sql", "\n%python\n1/0", &error("…ZeroDivisionError…", "…<command-…>:3…1/0…"));
    context.check_in("sql", "%scala\nval z = nope", &error("…:2: error: not found: value nope…", "…"));
    match r::installed() {
        true => context.check("%r\n1 + 1", &text("[1] 2")),
        false => context.check("%r\n1 + 1", &error("R is not installed…r-base-core…", "…")),
    }
    context.check_in("scala", "%run ./other", &error("%run is not supported…", "%run is not supported…"));
}

/// Python that writes a package of one module as a file which pip installs without a network.
const WHEEL: &str = "
import os, tempfile, zipfile
wheel = os.path.join(tempfile.mkdtemp(), 'probe_of_cells-1.0-py3-none-any.whl')
with zipfile.ZipFile(wheel, 'w') as archive:
    archive.writestr('probe_of_cells.py', 'VALUE = 41')
    archive.writestr('probe_of_cells-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: probe-of-cells\\nVersion: 1.0\\n')
    archive.writestr('probe_of_cells-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    archive.writestr('probe_of_cells-1.0.dist-info/RECORD', '')
";

fn pip_installs_into_the_cluster_s_own_environment(server: &Server) {
    let context = server.context("python");
    context.check(WHEEL, &text(""));
    let code = "%pip install --no-index {wheel}\n\nimport probe_of_cells\nprobe_of_cells.VALUE";
    context.check(code, &text("…Successfully installed probe-of-cells-1.0…\n41"));
    let executors = "sc.parallelize([1, 2], 2).map(lambda i: __import__('probe_of_cells').VALUE + i).collect()";
    context.check(executors, &text("[42, 43]"));
    // In new contexts, whose interpreters were spares before or are made now, and after a restart.
    let others = [server.context("python"), server.context("sql"), server.context("scala")];
    for other in &others {
        other.check_in("python", "import probe_of_cells; probe_of_cells.__file__", &text("'…/clusters/…/python/…'"));
    }
    context.check("%restart_python", &text(""));
    context.check("import probe_of_cells; 'wheel' in dir()", &text("False"));
    let said = "…No matching distribution found for no-such-package";
    context.check("%pip install --no-index no-such-package", &error(&format!("…PipError…{said}"), said));
    context.check("%pip uninstall --yes probe-of-cells", &text("…Successfully uninstalled probe-of-cells-1.0…"));
}
