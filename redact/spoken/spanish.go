package spoken

var spanish = Language{
	Name:      "Spanish",
	Digits:    [10]string{"cero", "uno|un|una", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve"},
	Teens:     [10]string{"diez", "once", "doce", "trece", "catorce", "quince", "dieciséis|dieciseis|diez y seis", "diecisiete|diez y siete", "dieciocho|diez y ocho", "diecinueve|diez y nueve"},
	Tens:      [10]string{"", "", "veinte", "treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa"},
	Compounds: []string{"{t} y {u}", "{t}y{u}", "{t} {u}"},
	More: map[string]string{
		"21": "veintiuno|veintiún|veintiun|veintiuna", "22": "veintidós|veintidos", "23": "veintitrés|veintitres", "24": "veinticuatro", "25": "veinticinco",
		"26": "veintiséis|veintiseis", "27": "veintisiete", "28": "veintiocho", "29": "veintinueve",
	},
	Hundreds: map[string]int{
		"cien": 1, "ciento": 1, "doscientos": 2, "doscientas": 2, "trescientos": 3, "trescientas": 3, "cuatrocientos": 4, "cuatrocientas": 4, "quinientos": 5, "quinientas": 5,
		"seiscientos": 6, "seiscientas": 6, "setecientos": 7, "setecientas": 7, "ochocientos": 8, "ochocientas": 8, "novecientos": 9, "novecientas": 9,
	},
	Thousands: map[string]int{"mil": 1},
	Repeat:    map[string]int{"doble": 2, "triple": 3, "cuádruple": 4, "cuadruple": 4},
	Fillers: "eh|em|este|ah|mmm|hmm|pues|bueno|sí|si|vale|ok|okay|luego|después|despues|y|guion|guión|espacio|coma|punto|a|ver|espere|espera|el|la|los|las|es|son|número|numero|siguiente|" +
		"siguientes|continúe|continue|siga|adelante|perfecto|de|acuerdo|gracias|por|favor|ahora|entonces|dígame|digame|claro|muy|bien|últimos|ultimos|primeros|dígitos|digitos|momento|se|lo|que|repito|un|pausa|termina|acaba|con|empieza|otros|otro",
	Corrections: "perdón|perdon|disculpe|perdone|corrijo|no|digo",
	Ordinals:    "siguientes|últimos|ultimos|últimas|ultimas|primeros|primeras|otros|otras|demás|los|las|línea|linea|parte|fila",
	Counted:     "dígitos|digitos|números|numeros|cifras|últimos|ultimos|primeros|momento|segundo|segundos|minuto|minutos|veces|días|dias|horas|semanas|personas|más|mas|momentito|mensajes|partes|trozos",
	Roles:       "agente|cliente|operador|operadora|asesor|asesora|usuario|titular",
}
