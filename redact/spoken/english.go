package spoken

var english = Language{
	Name:       "English",
	Digits:     [10]string{"zero|oh|o|nought|naught|nil|aught", "one", "two", "three", "four", "five|fife", "six", "seven", "eight", "nine|niner"},
	Teens:      [10]string{"ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"},
	Tens:       [10]string{"", "", "twenty", "thirty", "forty|fourty", "fifty", "sixty", "seventy", "eighty", "ninety|ninty"},
	Compounds:  []string{"{t} {u}", "{t}{u}"},
	Inner:      [10]string{1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"},
	Hundreds:   map[string]int{"hundred": 1},
	Thousands:  map[string]int{"thousand": 1},
	And:        "and",
	Repeat:     map[string]int{"double": 2, "twice": 2, "triple": 3, "treble": 3, "thrice": 3, "quadruple": 4, "quad": 4},
	Homophones: [10]string{0: "owe", 1: "won", 2: "to|too", 3: "tree", 4: "for|fore", 6: "sex|sicks", 8: "ate"},
	Fillers: "uh|um|uhm|er|erm|ah|eh|hm|hmm|mm|mhm|uhhuh|okay|ok|k|right|alright|yes|yeah|yep|yup|sure|so|then|and|dash|hyphen|minus|space|comma|dot|period|stop|slash|stroke|" +
		"third|fourth|here|heres|let|me|see|hold|hang|on|please|go|ahead|got|gotcha|it|its|is|s|the|that|this|those|these|next|now|well|like|followed|by|again|continue|thanks|thank|you|just|a|are|i|m|ll|" +
		"rest|of|number|numbers|digit|digits|card|part|half|group|block|last|first|final|other|another|second|sec|moment|more|going|fine|perfect|great|good|carry|great|correct|we|have|" +
		"pause|turn|over|flip|around|ends|starts|ending|with|then|read|reading|silence|inaudible|crosstalk|bit|after|piece",
	Corrections: "sorry|correction|scratch|oops|whoops|wait|actually|mean|rather|no",
	Ordinals:    "next|last|first|final|other|these|those|remaining|another|following|all|only|every|any|which|line|row|agent|speaker|caller|channel|step|option|part|half|piece",
	Counted: "digit|digits|number|numbers|second|seconds|sec|moment|minute|minutes|more|times|left|thing|groups|blocks|of|days|day|hours|hour|weeks|week|months|people|items|" +
		"things|dollars|euros|pounds|cents|percent|years|year|o'clock|am|pm|pieces|pairs|boxes|messages|texts|parts|halves|goes|chunks|batches",
	Roles: "agent|customer|caller|client|user|rep|representative|advisor|adviser|operator|support|speaker|host|guest|me|you|bot|system|member|specialist|associate|consumer|visitor|cust|csr",
}
