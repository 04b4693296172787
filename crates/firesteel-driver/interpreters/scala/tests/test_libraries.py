"""Libraries attached to a Spark that runs, with executors of their own, so that a class must travel to them."""

import os
import shutil
import subprocess
import tempfile
import unittest
import zipfile

from driver import Jvm, java_command

GREETER = "package %s\nclass Greeter extends Serializable { def greet(name: String) = \"%s \" + name }\n"


def setUpModule():
    global jvm, folder
    folder = tempfile.mkdtemp(prefix="firesteel-libraries-")
    jvm = Jvm(conf={"spark.master": "local-cluster[1,1,1024]"}, env_more={"SPARK_SCALA_VERSION": os.environ.get("SPARK_SCALA_VERSION", "2.13")})


def tearDownModule():
    assert jvm.stop() == 0
    shutil.rmtree(folder)


def make_jar(name, package, greeting="hello"):
    """Compiles a jar of one class with Spark's own compiler."""
    source, classes = os.path.join(folder, f"{name}.scala"), os.path.join(folder, f"{name}-classes")
    with open(source, "w") as file:
        file.write(GREETER % (package, greeting))
    os.makedirs(classes)
    command = java_command()[:-1] + ["scala.tools.nsc.Main", "-usejavacp", "-d", classes, source]
    subprocess.run(command, check=True)
    jar = os.path.join(folder, f"{name}.jar")
    with zipfile.ZipFile(jar, "w") as packed:
        for base, _, files in os.walk(classes):
            for file in files:
                path = os.path.join(base, file)
                packed.write(path, os.path.relpath(path, classes))
    return jar


def fetch(library, number, outcome="library_fetched"):
    into = os.path.join(folder, "here", str(number))
    jvm.control.send(type="fetch_library", number=number, library=library, folder=into)
    message = jvm.expect(outcome)
    assert message["number"] == number, message
    return message


class Jars(unittest.TestCase):
    def test_contexts_old_and_new_and_executors_see_a_jar(self):
        old = jvm.open("scala", "old")
        self.assertIn("not found: value alpha", old.run("new alpha.Greeter").error["cause"])
        answer = fetch({"jar": "file://" + make_jar("alpha", "alpha")}, 1)
        self.assertEqual(answer["messages"], [])
        use = 'val g = new alpha.Greeter\nsc.parallelize(Seq("you"), 1).map(g.greet).collect.head'
        self.assertIn("hello you", old.run(use).text)
        new = jvm.open("scala", "new")
        self.assertIn("hello you", new.run(use).text)
        self.assertIn("Greeter", new.run("case class Holder(g: alpha.Greeter)\nHolder(g).g").text)
        old.close()
        new.close()

    def test_two_that_hold_the_same_class_are_both_named(self):
        one, two = make_jar("first", "twice"), make_jar("second", "twice", "bye")
        fetch({"jar": "file://" + one}, 11)
        self.assertEqual(fetch({"jar": "file://" + two}, 12)["messages"], [
            f"file://{one} and file://{two} both hold twice.Greeter; the one that was attached first is used"])

    def test_a_file_that_is_not_there_or_no_jar_is_told(self):
        missing = fetch({"jar": f"file://{folder}/missing.jar"}, 21, "library_failed")
        self.assertIn("missing.jar", missing["reason"])
        text = os.path.join(folder, "text.jar")
        with open(text, "w") as file:
            file.write("not a jar")
        self.assertIn("zip", fetch({"jar": f"file://{text}"}, 22, "library_failed")["reason"])


class Coordinates(unittest.TestCase):
    def test_coordinates_bring_what_they_depend_on_from_a_repository(self):
        repository = os.path.join(folder, "repository")
        for name, package, needs in [("inner", "inner", None), ("outer", "outer", "inner")]:
            at = os.path.join(repository, "org", "demo", name, "1.0")
            os.makedirs(at)
            shutil.copy(make_jar(name, package), os.path.join(at, f"{name}-1.0.jar"))
            dependency = f"<dependency><groupId>org.demo</groupId><artifactId>{needs}</artifactId><version>1.0</version></dependency>"
            with open(os.path.join(at, f"{name}-1.0.pom"), "w") as pom:
                pom.write("<project><modelVersion>4.0.0</modelVersion><groupId>org.demo</groupId>"
                          f"<artifactId>{name}</artifactId><version>1.0</version>"
                          f"<dependencies>{dependency if needs else ''}</dependencies></project>")
        answer = fetch({"maven": {"coordinates": "org.demo:outer:1.0", "repo": "file://" + repository}}, 31)
        self.assertEqual(len(answer["files"]), 2)
        context = jvm.open("scala", "maven")
        self.assertIn("hello you", context.run('(new outer.Greeter).greet("you")').text)
        self.assertIn("hello you", context.run('(new inner.Greeter).greet("you")').text)
        left_out = {"coordinates": "org.demo:outer:1.0", "repo": "file://" + repository, "exclusions": ["org.demo:inner"]}
        self.assertEqual(fetch({"maven": left_out}, 32)["files"], [])
        self.assertIn("none:none:1", fetch({"maven": {"coordinates": "none:none:1", "repo": "file://" + repository}}, 33, "library_failed")["reason"])
        context.close()


if __name__ == "__main__":
    unittest.main()
