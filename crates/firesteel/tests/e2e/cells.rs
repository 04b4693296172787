//! What goes beyond one language: the first line of a command, whatever the command's own language is.

use serde_json::json;

use crate::api::{error, fits, table, text};
use crate::case::Case;
use crate::r;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![
        the_first_line_names_the_language,
        pip_installs_into_the_cluster_s_own_environment,
        dbutils_and_display_are_in_every_language,
        errors_show_the_user_s_own_lines_and_the_root_first,
    ]
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

/// Python that makes an object which shows itself as a picture, as many libraries' do.
const PICTURE: &str = "
import base64
class Picture:
    def _repr_png_(self):
        return base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==')
";

fn dbutils_and_display_are_in_every_language(server: &Server) {
    let context = server.context("python");
    let pictures = |language: &str, code: &str, count: usize| {
        let results = context.run_in(language, code).results;
        assert_eq!(results["resultType"], "images", "{code}: {results}");
        let names: Vec<&str> =
            results["fileNames"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(names.len(), count, "{code}: {names:?}");
        assert!(names.iter().all(|name| name.starts_with("data:image/png;base64,iVBOR")), "{code}: {names:?}");
    };
    context.check(
        "dbutils.widgets.text('w', 'v'); dbutils.widgets.dropdown('d', 'a', ['a', 'b']); getArgument('w')",
        &text("'v'"),
    );
    context.check_in("scala", "getArgument(\"w\") + dbutils.widgets.get(\"d\")", &text("…: String = va"));
    context.check_in("scala", "displayHTML(\"<b>s</b>\")", &text("<b>s</b>"));
    context.check_in("scala", "display(List(1, 2)); display(\"x\")", &text("List(1, 2)\nx"));
    context.check("display({'a': 1}); display('x')", &text("{'a': 1}\n'x'"));
    pictures("scala", "import java.awt.image._; display(new BufferedImage(2, 2, BufferedImage.TYPE_INT_RGB))", 1);
    pictures("python", "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\ndisplay(figure)", 1);
    pictures("python", &format!("{PICTURE}\ndisplay(Picture())\nPicture()"), 2);
    context.check("kept = 1", &text(""));
    context.check_in("scala", "dbutils.library.restartPython()", &text(""));
    context.check("'kept' in globals()", &text("False"));
    context.check_in("scala", "dbutils.notebook.exit(\"s\")", &text("s"));
    if r::installed() {
        context.check_in("r", "dbutils$widgets$text('w', 'of r'); getArgument('w')", &text("[1] \"of r\""));
        context.check_in("r", "displayHTML('<i>r</i>')", &text("<i>r</i>"));
        context.check_in("r", "display(c(1, 2))", &text("[1] 1 2"));
        pictures("r", "plot(1); plot(2)", 2);
        context.run("kept = 1").text();
        context.run_in("r", "dbutils$library$restartPython()").text();
        context.check("'kept' in globals()", &text("False"));
    }
}

fn errors_show_the_user_s_own_lines_and_the_root_first(server: &Server) {
    let context = server.context("python");
    let ours = ["firesteel_python", "firesteel.", "run_source", "guarded("];
    for (language, code, summary, line) in [
        ("python", "x = 1\n\ndef fails():\n    return x / 0\nfails()", "…ZeroDivisionError…", "<command-1>:4"),
        (
            "python",
            "sc.parallelize([0]).map(lambda i: 1 / i).collect()",
            "…ZeroDivisionError: division by zero",
            "<command-2>",
        ),
        ("scala", "val a = 1\n\nval b: Int = \"x\"", "command-1:3: error: type mismatch;…", "command-1:3"),
        (
            "scala",
            "def fails(n: Int) = n / 0\n\nfails(1)",
            "ArithmeticException: / by zero",
            "(command-2:1)\n\tat …(command-2:3)",
        ),
        (
            "scala",
            "sc.parallelize(1 to 2).map(n => n / (n - n)).collect()",
            "ArithmeticException: / by zero\n(SparkException: Job aborted…",
            "java.lang.ArithmeticException: / by zero\n\tat …(command-3:1)",
        ),
        (
            "sql",
            "select 1;\nselect 2,,3",
            "Error in SQL statement: ParseException: …(line 2, pos 9)…",
            "(line 2, pos 9)",
        ),
        ("r", "fails <- function(n) stop('in r')\n\nfails(1)", "Error in fails(1) : in r", "<command-1>"),
    ] {
        if language == "r" && !r::installed() {
            continue;
        }
        let ended = context.run_in(language, code);
        assert!(fits(&error(summary, &format!("…{line}…")), &ended.results), "{language}: {code}\n{:#}", ended.results);
        let cause = ended.results["cause"].as_str().unwrap();
        assert!(ours.iter().all(|frame| !cause.contains(frame)), "our own frames are left out: {cause}");
    }
}
