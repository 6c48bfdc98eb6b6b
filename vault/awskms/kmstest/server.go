// Package kmstest is an HTTP server for tests that speaks the part of AWS KMS's JSON
// protocol which package awskms uses, with keys that can be disabled, calls that are
// denied, slow or answered with garbage. It looks whether calls are signed, and not
// whether the signature is right.
package kmstest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Region is where the server pretends to be.
const Region = "eu-central-1"

// ARN is the name of a key of the server.
func ARN(id string) string { return "arn:aws:kms:" + Region + ":111122223333:key/" + id }

// Credentials are what callers sign with.
func Credentials() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", "")
}

// Environment is what a program needs in its environment to call the server.
func Environment() []string {
	return []string{"AWS_ACCESS_KEY_ID=AKIDTEST", "AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true"}
}

// Server is a KMS with the keys "one" and "two".
type Server struct {
	// URL is its address, for the option endpoint.
	URL string

	server *httptest.Server
	wrong  func(what string)
	keys   map[string]cipher.AEAD
	done   chan struct{} // closed by Close

	mu    sync.Mutex // owns what follows
	fault string
	asked map[string]int
}

// Faults of Server.Fail that are no error code.
const (
	// Slow answers nothing until the caller gives up.
	Slow = "slow"
	// Garbage answers with success and something else than an answer.
	Garbage = "garbage"
	// Short answers with a well-formed answer that is too short.
	Short = "short"
	// Cut ends the connection.
	Cut = "cut"
)

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := New(func(what string) { t.Error(what) })
	t.Cleanup(s.Close)
	return s
}

// New starts a server that tells wrong of calls that are none.
func New(wrong func(what string)) *Server {
	s := &Server{wrong: wrong, keys: make(map[string]cipher.AEAD), asked: make(map[string]int), done: make(chan struct{})}
	for _, id := range []string{"one", "two"} {
		key := make([]byte, 32)
		rand.Read(key)
		block, err := aes.NewCipher(key)
		if err != nil {
			panic(err) // the length is right
		}
		if s.keys[id], err = cipher.NewGCM(block); err != nil {
			panic(err)
		}
	}
	s.server = httptest.NewServer(s)
	s.URL = s.server.URL
	return s
}

// Close ends the server, and the calls that are under way.
func (s *Server) Close() {
	close(s.done)
	s.server.Close()
}

// Fail has every call from now on fail: with one of the constants, or with an error
// code of KMS. "" ends it.
func (s *Server) Fail(fault string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Asked is how often an operation was asked for: Encrypt, Decrypt.
func (s *Server) Asked(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[operation]
}

type request struct {
	KeyID             string `json:"KeyId"`
	Plaintext         []byte
	CiphertextBlob    []byte
	EncryptionContext map[string]string
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	signed := strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDTEST/") &&
		strings.Contains(r.Header.Get("Authorization"), "/"+Region+"/kms/aws4_request") && r.Header.Get("X-Amz-Date") != ""
	if !ok || !signed || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		s.wrong(fmt.Sprintf("a call of KMS is not one: %s, signed: %v", r.Header.Get("X-Amz-Target"), signed))
		refuse(w, "AccessDeniedException")
		return
	}
	var in request
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &in) != nil {
		refuse(w, "SerializationException")
		return
	}
	s.mu.Lock()
	s.asked[operation]++
	fault := s.fault
	s.mu.Unlock()
	switch fault {
	case "":
	case Slow:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
		return
	case Garbage:
		_, _ = io.WriteString(w, "<html>captive portal</html>")
		return
	case Short:
		_, _ = io.WriteString(w, `{"KeyId":"x","Plaintext":"AAAA"}`)
		return
	case Cut:
		panic(http.ErrAbortHandler)
	default:
		refuse(w, fault)
		return
	}
	s.answer(w, operation, in)
}

func (s *Server) answer(w http.ResponseWriter, operation string, in request) {
	id := in.KeyID[strings.LastIndexByte(in.KeyID, '/')+1:]
	key := s.keys[id]
	if key == nil {
		refuse(w, "NotFoundException")
		return
	}
	ad := contextBytes(in.EncryptionContext)
	switch operation {
	case "Encrypt":
		nonce := make([]byte, key.NonceSize())
		rand.Read(nonce)
		answer(w, map[string]any{"KeyId": ARN(id), "CiphertextBlob": key.Seal(append([]byte(id), nonce...), nonce, in.Plaintext, ad)})
	case "Decrypt":
		rest, ok := strings.CutPrefix(string(in.CiphertextBlob), id)
		if !ok {
			refuse(w, "IncorrectKeyException")
			return
		}
		if len(rest) < key.NonceSize() {
			refuse(w, "InvalidCiphertextException")
			return
		}
		plain, err := key.Open(nil, []byte(rest[:key.NonceSize()]), []byte(rest[key.NonceSize():]), ad)
		if err != nil {
			refuse(w, "InvalidCiphertextException")
			return
		}
		answer(w, map[string]any{"KeyId": ARN(id), "Plaintext": plain})
	default:
		refuse(w, "UnknownOperationException")
	}
}

// contextBytes binds a ciphertext to its encryption context.
func contextBytes(of map[string]string) []byte {
	var b []byte
	for _, k := range slices.Sorted(maps.Keys(of)) {
		pair, _ := json.Marshal([2]string{k, of[k]}) // strings always marshal
		b = append(b, pair...)
	}
	return b
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(v) // the caller may be gone
}

func refuse(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "User: arn:aws:iam::111122223333:user/secret-name"})
}
