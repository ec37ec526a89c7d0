package authn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxAnswer limits an answer, in bytes.
const maxAnswer = 64 << 10

var errTooLong = fmt.Errorf("the answer has more than %d bytes", maxAnswer)

// result is what became of a question.
type result int

// The results. Only the first three are answers.
const (
	ok result = iota
	wrong
	unknown
	failed  // no answer that makes sense
	skipped // not asked, because the breaker is open
	cached  // not asked, because the answer is remembered
	results
)

// resultNames has the names of the results: in answers for the first three, and for metrics.
var resultNames = [results]string{"ok", "wrong", "unknown", "failed", "skipped", "cached"}

// answer is what a source has answered.
type answer struct {
	result  result
	account map[string]any // with values as package toml has them
}

// parseAnswer parses {"result":"ok","account":{…}}. It accepts only what docs/auth.md documents: a source with a misspelled
// key should be noticed before it matters.
func parseAnswer(text []byte) (answer, error) {
	if len(text) > maxAnswer {
		return answer{}, errTooLong
	}
	all, err := members(text)
	if err != nil {
		return answer{}, fmt.Errorf("the answer: %w", err)
	}
	a := answer{result: results}
	for key, value := range all {
		switch key {
		case "result":
			var name string
			_ = json.Unmarshal(value, &name) // what is no text is no result
			for r := ok; r <= unknown; r++ {
				if resultNames[r] == name {
					a.result = r
				}
			}
		case "account":
			if a.account, err = parseAccount(value); err != nil {
				return answer{}, err
			}
		default:
			return answer{}, fmt.Errorf("the answer has the unknown key %q", key)
		}
	}
	switch {
	case a.result == results:
		return answer{}, errors.New(`the answer: "result" must be "ok", "wrong" or "unknown"`)
	case a.result != ok && a.account != nil:
		return answer{}, errors.New(`the answer has an "account", which only "ok" may have`)
	}
	return a, nil
}

// parseAccount returns the keys of an account.
func parseAccount(text []byte) (map[string]any, error) {
	all, err := members(text)
	if err != nil {
		return nil, fmt.Errorf("the account in its answer: %w", err)
	}
	account := map[string]any{}
	for key, raw := range all {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			return nil, fmt.Errorf("key %s of the account: not valid JSON", key)
		}
		account[key] = v
		if n, isNumber := v.(json.Number); isNumber {
			if whole, err := n.Int64(); err == nil { // no setting takes other numbers
				account[key] = whole
			}
		}
	}
	return account, nil
}

// members returns the members of a JSON object. Unlike package json, it distinguishes the case of keys and refuses those that
// occur twice.
func members(text []byte) (map[string]json.RawMessage, error) {
	if !json.Valid(text) {
		return nil, errors.New("not JSON, or something follows it")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	all := map[string]json.RawMessage{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := t.(string)
		if _, twice := all[key]; twice {
			return nil, fmt.Errorf("the key %q occurs twice", key)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		all[key] = value
	}
	return all, nil
}

// readAnswer reads an answer to its end.
func readAnswer(r io.Reader) (answer, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err != nil {
		return answer{}, err
	}
	return parseAnswer(text)
}
