"""`dbutils.secrets`: asks the server, through the JVM. A value that was asked for is taken out of what is printed."""

from collections import namedtuple

SecretMetadata = namedtuple("SecretMetadata", "key")


class SecretScope(namedtuple("SecretScope", "name")):
    """One scope."""

    def getName(self):
        return self.name


class Secrets:
    """What user code knows as `dbutils.secrets`."""

    def __init__(self, spark):
        self._spark = spark

    def get(self, scope, key):
        return self.getBytes(scope, key).decode()

    def getBytes(self, scope, key):
        return bytes(self._call("getBytes", scope, key))

    def list(self, scope):
        return [SecretMetadata(key) for key in self._call("keys", scope)]

    def listScopes(self):
        return [SecretScope(name) for name in self._call("scopes")]

    def help(self, _name=None):
        print("dbutils.secrets: get, getBytes, list, listScopes")

    def _call(self, name, *arguments):
        if self._spark is None:
            raise RuntimeError("dbutils.secrets: this interpreter has no Spark")
        try:
            return self._spark.secrets(name, *arguments)
        except Exception as error:
            # pyspark has classes of its own for some, which keep the original.
            raised = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
            if raised is None or not raised.getClass().getName().startswith("java.lang.Illegal"):
                raise
            text = raised.getMessage()
        raise ValueError(text)
