import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerExtensionsValidatorCallback;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * Judges tokens as the brokers of Amazon MSK have AWS do it: each is a URL that somebody has signed for
 * kafka-cluster:Connect. Keys and region are those of secured.py, and come with the login module's options.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
public class IamValidator implements AuthenticateCallbackHandler {
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);

    private Map<String, ?> options;

    record Token(String value, Set<String> scope, long lifetimeMs, String principalName, Long startTimeMs)
            implements OAuthBearerToken {}

    @Override
    public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {
        options = entries.get(0).getOptions();
    }

    @Override
    public void handle(Callback[] callbacks) {
        for (Callback callback : callbacks) {
            if (callback instanceof OAuthBearerValidatorCallback validator) {
                try {
                    validator.token(judge(validator.tokenValue()));
                } catch (Exception refused) {
                    validator.error("invalid_token", refused.toString(), null);
                }
            } else if (callback instanceof OAuthBearerExtensionsValidatorCallback extensions) {
                extensions.inputExtensions().map().keySet().forEach(extensions::valid);
            }
        }
    }

    @Override
    public void close() {}

    private Token judge(String value) throws Exception {
        URI url = new URI(new String(Base64.getUrlDecoder().decode(value), StandardCharsets.UTF_8));
        Map<String, String> query = new TreeMap<>();
        for (String pair : url.getRawQuery().split("&")) {
            String[] parts = pair.split("=", 2);
            query.put(parts[0], URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
        }
        // These two were not there when the URL was signed.
        String signature = query.remove("X-Amz-Signature");
        query.remove("User-Agent");
        String region = option("region");
        String host = "kafka." + region + ".amazonaws.com";
        is(host, url.getHost());
        is("kafka-cluster:Connect", query.get("Action"));
        is(option("session"), query.get("X-Amz-Security-Token"));
        String time = query.get("X-Amz-Date");
        Instant start = Instant.from(TIME.parse(time));
        Instant end = start.plus(Duration.ofSeconds(Long.parseLong(query.get("X-Amz-Expires"))));
        is("true", "" + (end.isAfter(Instant.now()) && start.isBefore(Instant.now().plusSeconds(60))));
        String date = time.substring(0, 8);
        String scope = date + "/" + region + "/kafka-cluster/aws4_request";
        is(option("id") + "/" + scope, query.get("X-Amz-Credential"));

        StringBuilder canonical = new StringBuilder();
        query.forEach((name, text) -> canonical.append(canonical.isEmpty() ? "" : "&")
                .append(name).append("=").append(URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20")));
        String request = "GET\n/\n" + canonical + "\nhost:" + host + "\n\nhost\n" + sha256("");
        byte[] key = ("AWS4" + option("secret")).getBytes(StandardCharsets.UTF_8);
        for (String part : List.of(date, region, "kafka-cluster", "aws4_request")) {
            key = mac(key, part);
        }
        is(HexFormat.of().formatHex(mac(key, "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "\n" + sha256(request))), signature);
        return new Token(value, Set.of(), end.toEpochMilli(), option("id"), start.toEpochMilli());
    }

    private String option(String name) {
        return (String) options.get(name);
    }

    private static void is(String expected, String found) {
        if (!expected.equals(found)) {
            throw new IllegalArgumentException(found + " is not " + expected);
        }
    }

    private static String sha256(String text) throws Exception {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    private static byte[] mac(byte[] key, String text) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
    }
}
