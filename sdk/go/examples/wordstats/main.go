// Command wordstats counts the characters, lines and words of a text.
package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"bulkhead"
)

// Args are the arguments of the tool.
type Args struct {
	Text string `json:"text" doc:"The text to look at."`
	Top  int    `json:"top" doc:"How many of the most frequent words to return." min:"0" max:"100" default:"10"`
}

// Stats is what there is to know about a text.
type Stats struct {
	Characters int         `json:"characters" doc:"Unicode code points." min:"0"`
	Lines      int         `json:"lines" doc:"Lines, the last one with or without an end." min:"0"`
	Words      int         `json:"words" doc:"Words, each as often as it occurs." min:"0"`
	Distinct   int         `json:"distinct" doc:"Different words." min:"0"`
	Longest    string      `json:"longest" doc:"The word of most code points."`
	Frequent   []Frequency `json:"frequent" doc:"The most frequent words, the most frequent first."`
}

// Frequency is how often a word occurs.
type Frequency struct {
	Word  string `json:"word" doc:"In lower case."`
	Count int    `json:"count" doc:"How often it occurs." min:"1"`
}

const (
	space       = " \t\n\r\v\f"
	punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)

func wordstats(args Args) (Stats, error) {
	counts, words := map[string]int{}, 0
	for field := range strings.FieldsFuncSeq(args.Text, isSpace) {
		if word := strings.Trim(field, punctuation); word != "" {
			counts[lower(word)]++
			words++
		}
	}
	if words == 0 {
		return Stats{}, bulkhead.Error{Code: "EMPTY_TEXT", Message: "The text has no words."}
	}
	frequent := []Frequency{}
	for word, count := range counts {
		frequent = append(frequent, Frequency{word, count})
	}
	slices.SortFunc(frequent, func(a, b Frequency) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Word, b.Word))
	})
	return Stats{
		Characters: utf8.RuneCountInString(args.Text),
		Lines:      lines(args.Text),
		Words:      words,
		Distinct:   len(counts),
		Longest:    longest(counts),
		Frequent:   frequent[:min(args.Top, len(frequent))],
	}, nil
}

func isSpace(r rune) bool { return strings.ContainsRune(space, r) }

// lower changes ASCII letters alone, so that a word means the same in every language.
func lower(word string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, word)
}

func lines(text string) int {
	count := strings.Count(text, "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		count++
	}
	return count
}

// longest is the word of most code points, and the first in their order of several.
func longest(counts map[string]int) string {
	return slices.MinFunc(slices.Collect(maps.Keys(counts)), func(a, b string) int {
		return cmp.Or(cmp.Compare(utf8.RuneCountInString(b), utf8.RuneCountInString(a)), strings.Compare(a, b))
	})
}

func main() {
	bulkhead.Serve(bulkhead.Tool("wordstats", "Counts the characters, lines and words of a text, and lists its most frequent words.",
		wordstats, bulkhead.Title("Word statistics"), bulkhead.ReadOnly, bulkhead.Idempotent, bulkhead.ClosedWorld))
}
