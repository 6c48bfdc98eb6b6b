package detect

import (
	"strings"
	"testing"
	"unicode"

	"github.com/caregate/caregate/redact"
)

// What is found where a word for a card, or for a social security number, and a word for
// another number compete; see docs/design/0016.
func TestCompetingWords(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	const (
		card    = "4111111111111111"
		printed = "4111 1111 1111 1111"
	)
	for kind, c := range map[string]struct {
		want  redact.Class // empty for nothing
		texts []string
	}{
		"the name behind, a denial in front": {redact.USSSN, []string{
			"For my account, 536228145 is my SSN", "About my contract: 536228145 is my ssn", "my order 536 22 8145 is my social",
			"claim number? 536 22 8145 is my social security number", "case: 536 22 8145 (ssn)", "Order: 536-22-8145 is my SSN",
			"account 536228145, that's my social", "Vertrag: 536228145 ist meine SSN", "pedido 536228145 es mi seguro social",
		}},
		"the card behind, a denial in front": {redact.CreditCard, []string{
			"My ticket " + card + " is my card", "my order " + card + " (visa)", "order: " + card + ", that's my card number", "case " + card + " was the card I used",
			"Bestellung " + card + " ist meine Kreditkarte", "pedido " + card + " es mi tarjeta", "commande " + card + " est ma carte", "ordine " + card + " è la mia carta",
			"bestelling " + card + " is mijn kaart", "pedido " + card + " é o meu cartão", "zamówienie " + card + " to jest moja karta", "заказ " + card + " это моя карта",
			"订单" + card + "是我的信用卡",
		}},
		"something else behind": {"", []string{
			"order " + card + " is on my card statement", "order " + card + " to my card", "order " + card + " is not my card", "order " + card + ". My card was declined",
			"order " + card + " and my card was charged", "order 536228145, my SSN is not needed", "Bestellung " + card + " auf meine Karte", "order 536228145 is on file, not my SSN",
			"order " + card + " was paid by card", "订单" + card + "用信用卡支付", "订单" + card + "不是信用卡",
		}},
		"billing": {redact.CreditCard, []string{
			"Datos de facturación: " + card, "facturation : " + card, "Fakturering: " + card, "facturering " + card, "Rechnungsdaten: " + card, "Rechnungszahlung " + card,
			"dati di fatturazione: " + card, "dane do fakturowania " + card, "facturatie: " + card, "számlázás: " + card, "date facturare: " + card, "faturamento: " + card,
		}},
		"cards for orders and invoices, in one word": {redact.CreditCard, []string{
			"Rechnungskreditkarte " + card, "Rechnungskarte " + card, "Rechnungsvisa " + card, "Bestellkarte " + card, "Bestellzahlung " + card, "bestelkaart " + card,
			"tilauskortti " + card, "faktureringskort " + card, "fakturakort " + card, "Bestellkartennummer: " + printed, "tilauskortin " + card,
		}},
		"verbs": {redact.CreditCard, []string{
			"rendelkezésre " + card, "Хочу заказать " + card, "ich habe bestellt " + card, "ik heb besteld " + card, "jeg vil bestille " + card, "я заказал " + card,
			"chciałbym zamówić " + card, "chtěl bych objednat " + card, "quiero facturar " + card, "rendelni " + card, "хочу замовити " + card,
		}},
		"the number of a card, in one word or two": {redact.CreditCard, []string{
			"Kreditkarten-Nr: " + card, "Karten-Nr: " + card, "Kort-nr: " + card, "kart_no: " + card, "tarjeta_no=" + card, "My American Express number is 378282246310005",
			"Barclaycard number " + card, "bankcard number " + card, "Debitkarte Nr. " + card, "Firmenkreditkarte Nr. " + card, "Visakarte Nr " + card, "Dankort nr. " + card,
			"EC-Nummer " + card, "pinpas nr. " + card, "Bancontact nr. " + card, "ATM number " + card, "kartınızın numarası " + card, "A bankkártyám száma " + card,
			"kártyájának száma " + card, "kártyád száma " + card, "Bankkártyaszám: " + card, "bankkártyaszámom " + card, "Mastercardom száma " + card, "atm pas nr. " + card,
			"moja številka " + card,
		}},
		"who speaks, in other languages and with other signs": {redact.CreditCard, []string{
			"العميل: " + card, "לקוח: " + card, "הלקוח: " + card, "Pelanggan: " + card, "Khách hàng: " + card, "Πελάτης: " + card, "Kupac: " + card, "Покупатель: " + card,
			"Patient: " + card, "Kunde - " + card, "Kunde | " + card, "Kunde – " + card, "Customer > " + card, "客户：" + card, "会員：" + card, "고객: " + card, "Musteri: " + card,
			"Passagier: " + card,
		}},
		"a word for number, and no name of one": {redact.CreditCard, []string{
			"Sorry no. " + card, "Actually no. " + card, "Hardly no. " + card, "I said, hardly no. " + card, "all numbers: " + card, "please remove number " + card,
			"please delete number " + card, "please cancel number " + card, "please block number " + card, "please run number " + card, "please process number " + card,
			"please memorise number " + card, "can you duplicate number " + card, "replace number " + card + " with number 5555555555554444", "Johns number " + card,
			"my nans number " + card, "my grandmas number " + card, "my fiances number " + card, "wallet number " + card, "my virtual number " + card, "prepaid number " + card,
			"payment method number " + card, "funding source number " + card, "the laminated number " + card, "possibly number " + card,
		}},
		"a name of somebody, or of a bank": {redact.CreditCard, []string{
			"My Chase number is " + card, "Citi number " + card, "my Wells Fargo number " + card, "my Costco number " + card, "for Maria number " + card, "Joanna: number " + card,
			"Prepaidnummer " + card, "bankpasnummer " + card, "korrigierte Nummer: " + card, "mijn moeders nummer " + card, "ödeme numarası " + card, "numero della prepagata " + card,
			"मेरे पापा का नंबर " + card, "எனது எண் " + card, "babamın numarası " + card, "a férjem száma " + card, "Mit Nummer " + card, "支付宝号码" + card,
		}},
		"what an order is paid with": {redact.CreditCard, []string{
			"please charge the order to " + card, "charge the invoice to " + card, "订单请用" + card + "付款", "付订单用这个" + card, "予約したいです。" + card, "注文の支払いは" + card,
			"จ่ายออเดอร์ด้วย " + card,
		}},
		"what an order is called": {"", []string{
			"changed my order number to " + card, "订单号是" + card, "注文番号がこちら" + card, "注文は" + card, "주문번호가 " + card, "訂單編號為" + card, "ออเดอร์ " + card,
		}},
		"number of no thing": {redact.CreditCard, []string{
			"número de crédito " + card, "número de débito " + card, "número de TDC " + card, "numero della Postepay: " + card, "número de facturación " + card,
			"numéro de maman : " + card, "paiement de la facture de mars : " + card, "pagar la factura de mayo " + card, "betalen factuur van juni " + card, "número de María: " + card,
			"mi número de mamá " + card,
		}},
		"what is done with a card in other languages": {redact.CreditCard, []string{
			"je voudrais commander " + card, "as dori sa comand " + card, "gostaria de encomendar " + card, "noriu užsakyti " + card, "gribu pasūtīt " + card, "es sūtīju " + card,
			"הזמנתי " + card, "תיקח " + card, "كما طلبت: " + card, "наручио сам " + card, "наручио " + card, "my contractor " + card, "waiting patiently " + card,
			"il numero buono è " + card, "iš jo siuntė " + card, "bejelentem " + card, "prijavim " + card,
		}},
		"a number in a script without blanks, and no name of one": {redact.CreditCard, []string{
			"这是号码：" + card, "我给你号码" + card, "请使用此号码" + card, "请用下面号码" + card, "使用如下号码：" + card, "それでは番号は" + card, "えっと番号は" + card, "こちらが番号です" + card, "決済番号" + card, "支払番号" + card,
			"デビット番号は" + card, "アメックス番号は378282246310005", "退货退款到" + card, "预订房间请用" + card, "請求先は" + card, "請求は" + card + "へ", "ใบแจ้งหนี้ด้วย " + card, "我要退货。" + card, "先月の請求です。" + card, "이번호 " + card,
		}},
		"another number in one more script without blanks": {"", []string{
			"退货单号" + card, "追跡番号は" + card, "整理番号：" + card, "領収番号です" + card, "退货号码是" + card, "ใบแจ้งหนี้ " + card, "受付番号" + card,
		}},
		"numbers of a means of payment": {redact.CreditCard, []string{
			"Visanummer " + card, "Amexnummer 378282246310005", "Kreditnummer " + card, "kredietnummer " + card, "Debitnummer " + card, "Bankomatnummer " + card,
			"Zahlungsmittelnummer " + card, "Visanummer: " + printed, "korttinumero " + card, "Mastercardnr " + card, "betalingsnummer " + card,
		}},
		"orders and the like, in one word": {"", []string{
			"Bestellungen: " + card, "Rechnungsnr " + card, "Rechnungsnummer " + card, "Kartenbestellnummer " + card, "Kreditvertragsnummer " + card, "tilauksemme " + card,
			"beställningen " + card, "objednávkami " + card, "zamówieniem " + card, "rendelésem " + card, "naročila " + card, "narudžbi " + card, "заказом " + card,
			"заказов " + card, "замовленням " + card, "поръчката " + card, "παραγγελίες " + card, "siparişimin " + card, "fakturze " + card, "facturas " + card, "tellimuse " + card,
			"Retourennummer " + card, "kundenummer " + card, "seurantanumero " + card,
		}},
		"social insurance in one word": {redact.USSSN, []string{"Sozialversicherungsnummer 536 22 8145", "Sozialversicherungsnummer: 536.22.8145", "Sozialversicherungsnummer 536-22-8145"}},
		"cards in the plural": {redact.CreditCard, []string{
			"My cards account number is " + card, "my credit cards' account number is " + card, "The number on the back of my cards account " + card, "cards on account " + card,
			"credit cards order number " + card, "my cards order number " + card,
		}},
		"orders of cards": {"", []string{"The cards order " + card + " is late", "cards order number " + card, "greeting cards order: " + card}},
		"who speaks": {redact.CreditCard, []string{
			"Abonné: " + card, "Adhérent: " + card, "socio: " + card, "Client : " + card, "Client\u00a0: " + card, "12:03 Customer: " + card, "10:03 PM Customer: " + card,
			"**Customer:** " + card, "**Customer**: " + card, "1. Customer: " + card, "2) Customer: " + card, "Customer:\n" + card, "Customer:\t" + card, "Member:" + card,
			"Agent: which number? Customer: " + card, "Customer: " + card, "- Customer: " + card, "[12:03] Customer: " + card, "<b>Customer:</b> " + card, "> Client: " + card,
			"Customer (Jane): " + card, "Agent: go on\n10:04:31 Customer: " + card, "User: " + card, "socia: " + card, "abonado: " + card, "12.03 Uhr Kunde: " + card,
		}},
		"who speaks, asked for it":                     {redact.USSSN, []string{"Agent: Your social security number?\nCustomer: 536228145", "Agent: and the SSN please. Customer: 536228145"}},
		"the first digit in a word, which might count": {redact.CreditCard, []string{"use the other four 1111 1111 1111 111", "these four 1111 1111 1111 111"}},
		"a word that counts":                           {"", []string{"the other four 1111, and no more", "the next eight 41111111"}},
		"not who speaks":                               {"", []string{"my customer: " + card, "the order of the customer: " + card, "customer number: " + card, "Customer no. " + card}},
		"a card in a script without blanks": {redact.CreditCard, []string{
			"予約のカード番号は" + card, "会員のクレカは" + card, "会员信用卡号" + card, "发票信用卡号" + card, "订单信用卡号是" + card, "注文のカード番号は" + card, "我用手机付款信用卡号" + card,
			"주문카드번호" + card, "訂單的信用卡" + card,
		}},
		"another number in a script without blanks": {"", []string{
			"信用卡订单号" + card, "カードの注文番号は" + card, "会员卡号" + card, "会員カード番号は" + card, "银行卡绑定手机号" + card, "카드주문번호" + card, "クレカの予約番号" + card,
			"礼品卡卡号" + card, "ギフトカード番号" + card, "멤버십카드번호" + card,
		}},
		"a tariff or a series": {redact.CreditCard, []string{
			"pagué el paquete " + printed, "paguei o pacote " + printed, "ma carte série " + card, "mi cc serie " + card, "la guia " + printed, "contador " + printed,
			"betaald voor het pakket " + printed, "numero di serie " + printed,
		}},
		"a card for an order": {redact.CreditCard, []string{
			"tarjeta para la orden " + card, "mi tarjeta en orden: " + card, "die Karte zum Vertrag: " + card, "Karte für den Vertrag ist " + card, "carte pour le contrat: " + card,
			"My card for the order is " + card, "The card I used for this order " + card, "kaart voor de bestelling: " + card, "carta per il mio ordine è " + card,
			"cartão para o pedido: " + card, "kort för beställningen: " + card, "karta do zamówienia: " + card, "карта для заказа: " + card, "kort til ordren: " + card,
			"la tarjeta que usé para el pedido " + card, "the card we paid with for my booking " + card, "card for the package " + printed,
		}},
		"an order, and a card it is for": {"", []string{
			"you charged my card for order " + card, "card was charged for order number " + card, "my card for the order number " + card, "card for order #" + card,
			"Karte für Bestellung " + card, "tarjeta para el número de orden " + card, "my card was declined. The order " + card,
		}},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for n, text := range c.texts {
				got := redact.Class("")
				for _, f := range d.Text(nil, []byte(text), Hint{}) {
					if f.Class == redact.CreditCard || f.Class == redact.USSSN {
						got = f.Class
					}
				}
				if got != c.want {
					t.Errorf("%d, %q: got %q, want %q", n, strings.Map(withoutDigits, text), got, c.want)
				}
			}
		})
	}
}

// withoutDigits is for strings.Map: an error names the words, and no number.
func withoutDigits(r rune) rune {
	if unicode.IsDigit(r) {
		return -1
	}
	return r
}
