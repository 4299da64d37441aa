// Command gorilla is a client program on github.com/gorilla/websocket.
package main

import (
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"clients/lines"
)

type client struct{ connection *websocket.Conn }

func (c *client) Open(url string, header http.Header, protocols []string) (string, error) {
	dialer := websocket.Dialer{Subprotocols: protocols}
	connection, _, err := dialer.Dial(url, header)
	if err != nil {
		return "", err
	}
	c.connection = connection
	return connection.Subprotocol(), nil
}

func (c *client) Read() (string, int, string, bool) {
	_, text, err := c.connection.ReadMessage()
	if err == nil {
		return string(text), 0, "", true
	}
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return "", closed.Code, closed.Text, false
	}
	return "", 1006, "", false
}

func (c *client) Send(text string) error {
	return c.connection.WriteMessage(websocket.TextMessage, []byte(text))
}

func (c *client) Cut() { _ = c.connection.Close() }

func (c *client) Close() {
	frame := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = c.connection.WriteControl(websocket.CloseMessage, frame, time.Time{})
}

func main() { lines.Obey(&client{}) }
