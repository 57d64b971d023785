import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

import org.apache.flink.configuration.Configuration;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/**
 * A job of Flink's SQL, with its cluster in this process. The file that is named has the cluster's "settings" and the
 * "statements", of which the last one is the job: it begins when a line comes on standard input, and is waited for.
 */
public class Job {
    public static void main(String[] arguments) throws Exception {
        JsonNode job = new ObjectMapper().readTree(new File(arguments[0]));
        Map<String, String> settings = new HashMap<>();
        job.get("settings").fields().forEachRemaining(each -> settings.put(each.getKey(), each.getValue().asText()));
        TableEnvironment flink = TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(Configuration.fromMap(settings)).build());
        JsonNode statements = job.get("statements");
        int last = statements.size() - 1;
        for (int at = 0; at < last; at++) {
            flink.executeSql(statements.get(at).asText());
        }
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        System.out.println("ready for the job");
        if (input.readLine() != null) {
            flink.executeSql(statements.get(last).asText()).await();
        }
    }
}
