// Command coder is a client program on github.com/coder/websocket.
package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/coder/websocket"

	"clients/lines"
)

type client struct {
	connection *websocket.Conn
	closing    atomic.Bool
	closed     chan error
}

func (c *client) Open(url string, header http.Header, protocols []string) (string, error) {
	options := &websocket.DialOptions{HTTPHeader: header, Subprotocols: protocols}
	connection, _, err := websocket.Dial(context.Background(), url, options)
	if err != nil {
		return "", err
	}
	c.connection, c.closed = connection, make(chan error, 1)
	c.closing.Store(false)
	// The library's default is 32 KiB; a frame of the server can hold a message of 128 KiB.
	connection.SetReadLimit(1 << 20)
	return connection.Subprotocol(), nil
}

func (c *client) Read() (string, int, string, bool) {
	_, text, err := c.connection.Read(context.Background())
	if err == nil {
		return string(text), 0, "", true
	}
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return "", int(closed.Code), closed.Reason, false
	}
	// Of a Close beside a Read, either is told the server's answer.
	if c.closing.Load() && <-c.closed == nil {
		return "", int(websocket.StatusNormalClosure), "", false
	}
	return "", 1006, "", false
}

func (c *client) Send(text string) error {
	return c.connection.Write(context.Background(), websocket.MessageText, []byte(text))
}

func (c *client) Cut() { _ = c.connection.CloseNow() }

func (c *client) Close() {
	c.closing.Store(true)
	c.closed <- c.connection.Close(websocket.StatusNormalClosure, "")
}

func main() { lines.Obey(&client{}) }
