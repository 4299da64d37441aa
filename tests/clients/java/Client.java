// Client.java: a client program on java.net.http.WebSocket of the JDK, run from its source: java Client.java
// The lines on stdin and stdout are explained in tests/clients/program.rs.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;

final class Client {
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static WebSocket socket;
    private static Ear ear;

    /** What the library calls. */
    private static final class Ear implements WebSocket.Listener {
        private final StringBuilder text = new StringBuilder();
        private final CompletableFuture<Void> ended = new CompletableFuture<>();

        @Override
        public void onOpen(WebSocket opened) {
            say("open", opened.getSubprotocol().isEmpty() ? "-" : opened.getSubprotocol());
            opened.request(1);
        }

        @Override
        public CompletionStage<?> onText(WebSocket from, CharSequence data, boolean last) {
            text.append(data);
            if (last) {
                say("text", text.toString());
                text.setLength(0);
            }
            from.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onClose(WebSocket from, int code, String reason) {
            end(code, reason);
            return null;
        }

        @Override
        public void onError(WebSocket from, Throwable error) {
            end(1006, "");
        }

        private void end(int code, String reason) {
            if (!ended.isDone()) {
                say("closed", code + " " + reason);
                ended.complete(null);
            }
        }
    }

    private static synchronized void say(String word, String text) {
        System.out.println(word + " " + text);
        System.out.flush();
    }

    private static void open(String url, String token, String protocols) {
        WebSocket.Builder builder = HTTP.newWebSocketBuilder();
        if (!token.equals("-")) {
            builder.header("Authorization", "Bearer " + token);
        }
        if (!protocols.equals("-")) {
            String[] all = protocols.split(",");
            builder.subprotocols(all[0], Arrays.copyOfRange(all, 1, all.length));
        }
        ear = new Ear();
        try {
            socket = builder.buildAsync(URI.create(url), ear).join();
        } catch (CompletionException failed) {
            Throwable why = failed.getCause();
            boolean refused = why instanceof WebSocketHandshakeException;
            say("failed", refused ? "" + ((WebSocketHandshakeException) why).getResponse().statusCode() : why.toString());
        }
    }

    public static void main(String[] arguments) throws Exception {
        System.setOut(new java.io.PrintStream(System.out, false, StandardCharsets.UTF_8));
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            switch (words[0]) {
                case "open" -> open(words[1], words[2], words[3]);
                case "send" -> socket.sendText(line.substring("send ".length()), true).join();
                case "cut" -> {
                    socket.abort();
                    // The library tells its listener nothing of an end that the program itself wanted.
                    ear.end(1006, "");
                }
                case "close" -> {
                    socket.sendClose(WebSocket.NORMAL_CLOSURE, "").join();
                    ear.ended.join();
                }
                default -> throw new IllegalArgumentException(line);
            }
        }
        System.exit(0);
    }
}
