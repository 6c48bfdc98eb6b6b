package spoken

// Language is the table of one language. Words are in lower case; alternatives
// are separated by a bar. A phrase of several words has blanks between them,
// which also match hyphens. No table may be changed after [New] has read it.
type Language struct {
	// Name is for people.
	Name string
	// Digits are the words for 0 to 9, Teens those for 10 to 19, Tens those for
	// 20, 30 ... at 2, 3 ... The first two of Tens are empty.
	Digits, Teens, Tens [10]string
	// Compounds are the ways to put tens {t} and a digit {u} together. Inner are
	// the words for {u} where they differ from Digits.
	Compounds []string
	Inner     [10]string
	// Borrowed says which tens are said as other tens and a teen: French 70 to 79
	// are sixty and ten to nineteen.
	Borrowed map[int]int
	// More are other words, by their digits: "21": "veintiuno".
	More map[string]string
	// Hundreds and Thousands say what a word is worth in hundreds, thousands.
	Hundreds, Thousands map[string]int
	// And stands between hundreds and the rest.
	And string
	// Repeat are the words that repeat the digit behind them, and how often.
	Repeat map[string]int
	// Homophones are words that a recogniser writes for a digit. They are a digit
	// only where that completes a number, and nothing otherwise.
	Homophones [10]string
	// Fillers may stand inside a number.
	Fillers string
	// Corrections take back the digit before them.
	Corrections string
	// Ordinals, in front of a number word, and Counted, behind it, make it one that
	// counts: "the next four", "three digits", "one second".
	Ordinals, Counted string
	// Roles are the words that name a speaker in front of a colon.
	Roles string
}

// Languages returns the built-in tables: English first, then Spanish, German
// and French. The slice is new, the tables are shared.
func Languages() []*Language { return []*Language{&english, &spanish, &german, &french} }
