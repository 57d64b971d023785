import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import io.apicurio.registry.serde.protobuf.ProtobufKafkaSerializer;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serializer;

/**
 * Apicurio's own serializers, for records that come as JSON objects, one a line: `topic`, whether it is a `key`, the
 * serializer's `properties`, the record as plain `bytes` (base64), and either its Avro `schema`, or a Protobuf `file`
 * (a FileDescriptorProto in base64) and the `message`. Each is answered by what belongs into Kafka: `value` and `headers`.
 */
public class Serialize {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, Serializer<Object>> SERIALIZERS = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            System.out.println(answer(JSON.readTree(line)));
        }
    }

    private static ObjectNode answer(JsonNode asked) throws Exception {
        var headers = new RecordHeaders();
        byte[] value = serializer(asked).serialize(asked.get("topic").asText(), headers, record(asked));
        ObjectNode answer = JSON.createObjectNode().put("value", value);
        for (Header header : headers) {
            answer.withArray("headers").addArray().add(header.key()).add(Base64.getEncoder().encodeToString(header.value()));
        }
        return answer;
    }

    private static Object record(JsonNode asked) throws Exception {
        byte[] bytes = asked.get("bytes").binaryValue();
        if (asked.has("schema")) {
            var schema = new Schema.Parser().parse(asked.get("schema").asText());
            return new GenericDatumReader<>(schema).read(null, DecoderFactory.get().binaryDecoder(bytes, null));
        }
        var file = FileDescriptor.buildFrom(
            FileDescriptorProto.parseFrom(asked.get("file").binaryValue()), new FileDescriptor[0]);
        return DynamicMessage.parseFrom(file.findMessageTypeByName(asked.get("message").asText()), bytes);
    }

    @SuppressWarnings("unchecked")
    private static Serializer<Object> serializer(JsonNode asked) {
        JsonNode properties = asked.get("properties");
        boolean isAvro = asked.has("schema");
        boolean isKey = asked.path("key").asBoolean();
        return SERIALIZERS.computeIfAbsent(isAvro + " " + isKey + " " + properties, key -> {
            Serializer<?> serializer = isAvro ? new AvroKafkaSerializer<>() : new ProtobufKafkaSerializer<>();
            serializer.configure(JSON.convertValue(properties, Map.class), isKey);
            return (Serializer<Object>) serializer;
        });
    }
}
