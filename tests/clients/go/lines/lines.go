// Package lines speaks the client programs' line protocol on stdin and stdout; tests/clients/program.rs says what the
// lines mean.
package lines

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// Client is one library's socket, opened again and again.
type Client interface {
	// Open connects, and returns the subprotocol that the server chose.
	Open(url string, header http.Header, protocols []string) (string, error)
	// Read returns the next text; after the end, ok is false and there is a close code.
	Read() (text string, code int, reason string, ok bool)
	Send(text string) error
	// Cut ends the connection without a close frame.
	Cut()
	// Close sends a close frame with code 1000.
	Close()
}

func say(word, text string) {
	fmt.Printf("%s %s\n", word, text)
}

func read(client Client, done chan<- struct{}) {
	defer close(done)
	for {
		text, code, reason, ok := client.Read()
		if !ok {
			say("closed", fmt.Sprintf("%d %s", code, reason))
			return
		}
		say("text", text)
	}
}

// Obey carries out every line of stdin.
func Obey(client Client) {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<20)
	var done chan struct{}
	for input.Scan() {
		word, rest, _ := strings.Cut(input.Text(), " ")
		switch word {
		case "open":
			done = open(client, strings.Split(rest, " "))
		case "send":
			if err := client.Send(rest); err != nil {
				panic(err)
			}
		case "cut":
			client.Cut()
			<-done
		case "close":
			client.Close()
			<-done
		}
	}
}

func open(client Client, words []string) chan struct{} {
	header, protocols := http.Header{}, []string(nil)
	if words[1] != "-" {
		header.Set("Authorization", "Bearer "+words[1])
	}
	if words[2] != "-" {
		protocols = strings.Split(words[2], ",")
	}
	chosen, err := client.Open(words[0], header, protocols)
	if err != nil {
		say("failed", err.Error())
		return nil
	}
	if chosen == "" {
		chosen = "-"
	}
	say("open", chosen)
	done := make(chan struct{})
	go read(client, done)
	return done
}
