import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.FileOutputStream;
import java.io.FileDescriptor;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

import org.apache.flink.configuration.Configuration;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * Flink's SQL on standard input and output, in JSON: a statement a line, as a string, and for each a line with its
 * rows, as objects, or with one object whose "failed" says why there are none. Bytes are hexadecimal, structs are lists of
 * their members, maps are pairs, and what JSON has no number for is text.
 */
public class FlinkSql {
    // Each statement is a job with a cluster of its own, of which the memory outside of Java's heap goes late.
    private static final Map<String, String> SETTINGS = Map.of(
        "table.local-time-zone", "UTC", "parallelism.default", "1", "taskmanager.memory.managed.size", "16m",
        "taskmanager.memory.network.min", "16m", "taskmanager.memory.network.max", "16m");

    public static void main(String[] arguments) throws Exception {
        // What Flink prints by itself goes with its log.
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        TableEnvironment flink = TableEnvironment.create(
            EnvironmentSettings.newInstance().inBatchMode().withConfiguration(Configuration.fromMap(SETTINGS)).build());
        ObjectMapper json = new ObjectMapper();
        BufferedReader statements = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = statements.readLine()) != null; ) {
            Object answer;
            try {
                String statement = json.readValue(line, String.class);
                TableResult result = flink.executeSql(statement);
                if (statement.startsWith("INSERT")) {
                    // Its rows would only say how many there are, and its cluster ends with the job.
                    result.await();
                    answer = List.of();
                } else {
                    answer = rows(result);
                }
            } catch (Exception failed) {
                answer = Map.of("failed", causes(failed));
            }
            answers.println(json.writeValueAsString(answer));
        }
    }

    private static List<Object> rows(TableResult result) throws Exception {
        List<String> columns = result.getResolvedSchema().getColumnNames();
        List<Object> rows = new ArrayList<>();
        try (CloseableIterator<Row> each = result.collect()) {
            while (each.hasNext()) {
                Row row = each.next();
                Map<String, Object> values = new LinkedHashMap<>();
                for (int at = 0; at < row.getArity(); at++) {
                    values.put(columns.get(at), plain(row.getField(at)));
                }
                rows.add(values);
            }
        }
        return rows;
    }

    private static Object plain(Object value) {
        if (value instanceof Row row) {
            return IntStream.range(0, row.getArity()).mapToObj(at -> plain(row.getField(at))).toList();
        }
        if (value instanceof Object[] elements) {
            return Arrays.stream(elements).map(FlinkSql::plain).toList();
        }
        if (value instanceof Map<?, ?> map) {
            return map.entrySet().stream()
                .map(each -> Arrays.asList(plain(each.getKey()), plain(each.getValue())))
                .toList();
        }
        if (value instanceof byte[] bytes) {
            return HexFormat.of().formatHex(bytes);
        }
        if (value instanceof Float || value instanceof Double) {
            return value instanceof Float single ? Double.toString(single) : value.toString();
        }
        if (value == null || value instanceof Boolean || value instanceof Integer || value instanceof Long) {
            return value;
        }
        return value instanceof BigDecimal decimal ? decimal.toPlainString() : value.toString();
    }

    /** What was said, and why, down to the last reason. */
    private static String causes(Throwable failed) {
        StringBuilder text = new StringBuilder();
        for (Throwable each = failed; each != null; each = each.getCause()) {
            text.append(each.getClass().getSimpleName()).append(": ").append(each.getMessage()).append("\n");
        }
        return text.toString();
    }
}
