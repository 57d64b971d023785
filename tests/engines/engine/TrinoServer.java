/** Starts Trino from the jars of its modules, which have no main class. */
public class TrinoServer {
    public static void main(String[] arguments) {
        new io.trino.server.Server().start("tests");
    }
}
