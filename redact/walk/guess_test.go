package walk

import "testing"

func TestGuess(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Kind{
		"":                                   Text,
		" \n":                                Text,
		"hello, my card is 4111":             Text,
		"a < b and c > d":                    Text,
		"<3 you":                             Text,
		"hello, you\nfine, thanks":           Text,
		"one,two\nthree":                     Text,
		"https://x.example/?a=b&c=d":         Text,
		"x=1":                                Text,
		` {"a":1}`:                           JSON,
		"{\n\"a\":1}":                        JSON,
		`{"sentences":[{"transcript":""}]}`:  Transcript,
		"[1,\n[2]]":                          JSON,
		"{\"a\":1}\n{\"a\":2}\n":             NDJSON,
		"<?xml version=\"1.0\"?><p/>":        XML,
		"<Response><Message/></Response>":    XML,
		"<!DOCTYPE html><p>":                 HTML,
		"<P class=a>hello":                   HTML,
		"hello<br/>you":                      HTML,
		"Body=hello+you&To=x":                Form,
		"Body=%20":                           Form,
		"name,card\nJo,4111":                 CSV,
		"name;card\nJo;4111\n":               CSV,
		"--b\r\nContent-Disposition: form-d": Multipart,
		"From: a\nSubject: b\n\nhello":       MIME,
		"Subject: b\n\nhello":                Text,
		"From: me\nto: you with love":        Text,
		": hi\n\nevent: x\ndata: y\n\n":      SSE,
		"data: y and so on":                  SSE,
		"id: 4\nname: x":                     Text,
		"-- \nJo Doe":                        Text,
	} {
		if got := Guess([]byte(in)); got != want {
			t.Errorf("%q looks like %s, want %s", in, got, want)
		}
	}
}
