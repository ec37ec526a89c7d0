package ftp

import (
	"strings"
	"unicode/utf8"
)

// parseMonth parses the name of a month, in a language of monthWords, in UTF-8 or
// Latin-1. It also accepts a number followed by the Chinese, Japanese or Korean word
// for month.
func parseMonth(s string) (int, bool) {
	s = strings.TrimRight(s, ".,")
	if len(s) == 3 { // English, without the table, which has only the other languages
		for i := 0; i < len(monthNames); i += 3 {
			if strings.EqualFold(s, monthNames[i:i+3]) {
				return i/3 + 1, true
			}
		}
	}
	if len(s) < 2 || len(s) > 24 {
		return 0, false
	}
	if isDigit(s[0]) {
		digits := strings.TrimSuffix(strings.TrimSuffix(s, "月"), "월")
		n, ok := smallNumber(digits)
		return n, ok && digits != s && n >= 1 && n <= 12
	}
	if !utf8.ValidString(s) {
		runes := make([]rune, 0, len(s))
		for i := range len(s) {
			runes = append(runes, rune(s[i]))
		}
		s = string(runes)
	}
	n, ok := months[strings.ToLower(s)]
	return n, ok
}

// monthWords holds what ls prints for the months in languages other than English,
// one line for each month. The last words of a line are full names.
var monthWords = [12]string{
	"ene gen tammi janv jän oca led sty янв січ ian января january januar januari janvier enero gennaio janeiro",
	"fév févr febr fev şub úno lut фев февр лют helmi februari februar february février febrero febbraio fevereiro",
	"mär märz mrz mars mrt márc bře mart мар мар марта бер maalis march marzo março maart",
	"abr avr avril ápr dub kwi nis апр кві huhti april abril aprile",
	"mai mag mei maj máj kvě май мая тра touko mayo maggio maio",
	"giu juin jún čen cze haz июн июня чер kesä june juni junio giugno junho",
	"lug juil jui júl čec lip tem июл июля лип heinä july juli julio luglio julho juillet",
	"ago aoû août sie srp ağu авг сер elo augusti august augustus agosto",
	"set sept szept wrz zář eyl сен сент вер syys september septembre septiembre settembre setembro",
	"okt ott out paź pa¼ říj eki окт жов loka october oktober octubre ottobre outubro octobre",
	"noi kas ноя нояб лис lis marras november novembre noviembre novembro",
	"dic dez déc des gru pro ara дек гру груд joulu december dezember décembre diciembre dicembre dezembro",
}

var months = func() map[string]int {
	m := map[string]int{}
	for i, line := range monthWords {
		for word := range strings.FieldsSeq(line) {
			m[word] = i + 1
		}
	}
	return m
}()
