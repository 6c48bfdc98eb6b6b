package detect

import "strings"

// otherStems are how the words begin that name numbers which are no cards, by what they are
// numbers of. A stem is long enough that no verb which people say in front of a card begins
// so, with an ending as short as those of nouns: to order, to reserve, to return, to send.
var otherStems = wordsOf(`
	auftrag pedido
	porudžb porudzb užsakym uzsakym pasūtījum pasutijum pöntun sifariş поруџб наруџб нарачк тапсырыс захиалг
	buyurtma سفارش آرڈر ऑर्डर आर्डर अर्डर অর্ডার ஆர்டர் ఆర్డర్ ઓર્ડર ಆರ್ಡರ್ ഓർഡർ ਆਰਡਰ đơn pesanan pemesanan eskaera
	ordú comenzi ordine ordini przesyłk przesylk küldemén reservierung rezervac rezerwac rezervacij foglalás versicherung отправлени відправленн bestätigungs potvrdenk varauks ordni agizo შეკვეთ պատվեր

	sendung paket päckchen colis expédition suivi expedient paquete guía rastre seguimiento spedizion pacco tracciam remessa zending pakket pakje
	försändel forsendel kolli lähety seurant paczk zásilk zásielk zasilk sledov csomag kuldem colet пратк пошиљк
	pošiljk posiljk kargo takip посылк трек наклад посилк sūtījum sutijum saadetis dërges αποστολ δέμα δεματ משלוח חביל
	שילוח מעקב שחנ طرد تتبع التتبع مرسول پارسل पार्सल পার্সেল vận kiện bungkusan kiriman bagage koffer equipaj

	quittung kvitt paragon račun сметк рахун счет счёт фактур τιμολόγ τιμολογ חשבונ فاتور
	الفاتور فاکتور tagihan reikning rēķin rekin sąskait saskait kvīt recibo boleto kassenbon kassabon verkkolasku

	vorgang aktenzeichen anliegen schaden dossier sinistr réclamation incidencia reclamac reclamo solicitud folio pratica segnalaz
	protocol chamado ocorrênc ocorrenc melding schade klacht ärend henvendels tapaus zgłoszeni zgloszeni reklamac sprawy szkod požadav případ bejelentés ügysz dosar
	zadev обращен заявк звернен сигнал αίτημα υπόθεσ υποθεσ αναφορ פניי אסמכת بلاغ شكوى مرجع talep başvuru şikayet dosya pengaduan tiket
	laporan khiếu hồ tiedustelu viite viite referen riferim référen réf reference ссылк посилан

	abonnement abonnemang abonat abonent contrato contractul kontrak vertrag poliz póliz apólic avtal aftale sopimu vakuut umow smlouv smluv
	zmluv poistk pojist szerződés szerzodes kötvén poliț ugovor pogodb договор договір поліс полис лиценз συμβόλ συμβολ חוזה פוליס عقد وثيق بوليص قرارداد sözleş poliçe
	hợp liceng licenc lisens lisans lizenz

	buchung reservering boeking bokning broneering резерваци κράτησ κρατησ رزرو prenotaz tempahan reservasi

	serien seriennr seriové sériov matricola matrikel sarjanum seerian sērij výrobn vyrobn gyári sorozat széria серийн серійн сериј σειριακ סידורי تسلسلي
	سریال artikel artícul prodot produkt produit chassis fahrgestell zählpunkt zähler compteur contador matric szériasz

	gutschein geschenk cadeau fidél fidel loyal cupón cupom regalo presentkort gavekort lahjakort lojaln podarun dárkov darkov ajándék ajandek utalván
	poklon daril подароч сертифик купон бонус подарун ваучер δωρο שובר قسيم هدية hediye phiếu voucher coupon kupon bonus treue
	punkte puntos

	transak transac transaz συναλλαγ עסקה معامل işlem islem транзак giao

	docket waybill consign manifest receipt membership prescription requisition
	cursor offset checksum nonce asset partition

	passport passeport pasaport passaport reisepass paszport paspoort útlevel паспорт διαβατήρι certificat certificad zertifikat diplom badge wristband microchip transponder
	container contenedor contêiner conteneur kontejner contenitor precinto lacre sigillo scellé siegel pallet palett
	localizad localizz bordereau récépiss albarán albaran lieferschein frachtbrief pakbon vrachtbrief bolla targa scontrino fahrschein matricul matrícul matrikel
	immatricul kennzeichen kenteken campaign campaña campagne campanha kampagn kampanj warrant summons referral
	specimen accession survey questionnaire conversation tweet listing auction incident remittance ausweis führerschein permiso permesso étiquette etiquet
 personalnumm spender prontuário prontuario
	chamada comprobante comprovante mahnung trámite tramite cédula cedula
`)

// otherWords are names of that kind which are whole: with another ending, or in other words,
// they would be verbs that people use with a card, such as to order or to book.
var otherWords = wordsOf(`
	commande commandes encomenda encomendas comanda comandă comenzile comenzilor porosia porosisë porosinë archeb הזמנה ההזמנה הזמנות ההזמנות طلب الطلب طلبي طلبك طلبية الطلبية طلبات
	fattura fatture бронь брони бронирования бронювання حجز الحجز حجزي الحجوزات contrats balík balíka balíku balíček balíčku balíčka siunta siuntos siuntą siuntų
	zahtev zahteva zahtevu zahtevka zahtevek zahtjev zahtjeva zahtjevu prijava prijave prijavo prijavu تذكرة التذكرة תיק התיק beleg belegs belege viitenumber viitenumbri
	patient patients patienten contracts
	rewards reward permit permits seal meter fiscal albarán recibo lot pallet crate locker slot bay shelf
	deed deeds agreement itinerary modem sensor sample timesheet lading declaration odometer scooter trip ride voyage playlist video videos poll entry thermostat gadget
	router gateway firewall printer laptop tablet camera drone vehicle trailer truck bike rental lease landlord tenant plot mandate petition motion verdict filing
	inspection audit report assessment exam quiz homework syllabus transcript diploma credential accreditation license-plate dispatch pickup dropoff
	posting vacancy candidate applicant enrollment enrolment registrar roster payslip invoices receipts parcels permits vouchers coupons certificate certificates
	session sessions miles abordar job jobs workflow
	mrn rx pnr bol utr eticket e-ticket asin fob keycard plate microchip docket exhibit folder
`)

// cardStems are how the words begin for cards, and what they are called by.
var cardStems = wordsOf(`
	crédi débi tdc tdd postepay bancontact kárty card kart kort kaart karte carte carta cartão cartao tarjet kredi credi debi mastercard visa amex maestro girocard bankomat bancomat bankkort bankkaart betaalpas
	luottok pankkik krediit mokėjimo bankovn platebn платёжн платежн банковс кредитн дебет карт кард κάρτ καρτ πιστωτ כרטיס הכרטיס אשראי بطاق البطاق كارت کارت کارڈ
	कार्ड কার্ড அட்டை கார்டு కార్డు કાર્ડ ಕಾರ್ಡ್ കാർഡ് ਕਾਰਡ บัตร thẻ kadi txartel cárta ბარათ քարտ картк картиц картич
`)

// roleStems are how the words begin for people who have such numbers, and who speak.
var roleStems = wordsOf(`
	customer user kunden kunde kund client cliente klant asiak klient zákazn zakazn ügyfél ugyfel kupac клиент абонент покупат клієнт πελάτ πελατ לקוח عميل العميل مشترك müşteri musteri
	abone pelangg khách mitglied member socio sócio adhér medlem jäsen członk czlonk člen üye passagier passager passageir
`)

// Words for "number", by where the name of the number stands: in front of the word for
// number ("docket no.") or behind it ("número de guía").
var (
	numberBehind = wordsOf(`number numbers no num nr nbr tag label code key ref index nummer nummern nummeret numarası numarasi numaram numara szám száma számú nömrə nömrəsi numurs
		numeris नंबर नम्बर नं क्रमांक संख्या নম্বর নাম্বার எண் నంబర్ નંબર ನಂಬರ್ നമ്പർ ਨੰਬਰ نمبر zenbakia zenbaki nömrə нөмірі дугаар`)
	numberInFront = wordsOf(`number numéro numero número núm num nº n° no nr n numărul număr número número numer numeru broj broja br številka št číslo čísla č номер номера номером
		αριθμός αριθμος αρ αριθμό מספר מס رقم رقمه شماره หมายเลข เลขที่ เลข số mã nomor nombor namba nambari numri`)
	// ofWords stand between a word for number and what it is the number of.
	ofWords = wordsOf(`de del della dello dell di do da des du d of van ya`)
)

// readWords stand between a thing and what is written on it.
var readWords = wordsOf(`says say reads shows showing printed scans sagt steht zeigt dice dit indique dicono diz mostra zegt`)

// labelWords are what is on a parcel, and has its number written on it.
var labelWords = wordsOf("label labels sticker box packaging carton wrapper slip receipt etikett etikette aufkleber etiqueta étiquette etichetta scatola caja caixa doos")

// doneNouns are those of doneWords that are names, too: "medical record number".
var doneNouns = wordsOf(`record note call check copy text link block pass match process bill supply register lock report`)

// pairNames are names of what has a number, which are other words alone, with the words in
// front that make them such names.
var pairNames = map[string]map[string]bool{
	"note":     wordsOf("credit debit delivery packing dispatch consignment advice freight goods shipping"),
	"memo":     wordsOf("credit debit"),
	"pass":     wordsOf("bus boarding season day train travel ski park parking guest visitor hall gate monthly weekly annual transit rail lift museum swim gym"),
	"slip":     wordsOf("packing deposit pay salary delivery betting paying"),
	"response": wordsOf("survey poll form quiz"),
	"tag":      wordsOf("bag baggage luggage dog pet asset price service toll name ear"),
	"pin":      wordsOf("up topup voucher scratch recharge"),
}

// muchWords stand in front of a lot that says how much.
var muchWords = wordsOf(`a whole an awful`)

// withWords say who keeps the number.
var withWords = wordsOf(`bei ihnen euch chez vous jullie hos`)

// leadWords stand in front of something to do, and not of a thing.
var leadWords = wordsOf(`please pls plz kindly to i we you they can could will would should must shall may might cannot cant dont didnt wont not never just lets let me him her us and then also`)

// doneWords are what people do with a number. In a key they are no verbs.
var doneWords = wordsOf(`
	remove delete cancel block run process replace unblock freeze unfreeze disable enable activate deactivate reactivate register verify validate check confirm edit keep
	switch swap link unlink attach authorize authorise bill submit resubmit retry reuse accept apply assign provide supply forward text copy paste refund
	call note record find found show share pass tell know remember forget forgot lose drop erase wipe redact mask hide reveal protect secure
	calls match matching matches wants like getting putting giving sending reading typing entering adding saving
`)

// plainWords stand beside a word for "number" and name nothing, or what cards are paid with:
// the number may be that of a card all the same.
var plainWords = wordsOf(`
	payer billing funding source instrument method methods wallet tender charge checkout purchase default raw visa mastercard amex discover debit credit maestro diners data payload
	object item items result response params value values fields form info attributes properties entity row list plain clear display input formatted
	chase citi citibank hsbc barclays santander lloyds natwest halifax nationwide wells fargo capital usaa wise klarna n26 bunq starling sparkasse rabobank nubank bradesco bbva
	fuel expense sensitive secure test sample example dummy fake valid invalid holder prepagata prepagada prépayée ödeme gesperrte gültige aktuelle moeders vaders mammas pappas
	american express ec atm pas prepaid virtual stored current physical contactless disposable temporary revolut monzo paypal apple google samsung
	sorry actually all both each every either neither none nope nah well then now therefore however maybe perhaps fine great good cool alright yup yea dear sir madam
	when where why how if because since than though although while until before after about over under into onto per via without within between during
	i he she we they am were do does did done can could will would shall should may might must dont cant wont im ive hes shes
	nan nana nanny gran granny grandma grandpa grandad grandmother grandfather aunt auntie uncle cousin niece nephew fiance fiancee girlfriend boyfriend ex bf gf kid child
	children baby parents spouse bride groom roommate flatmate neighbour neighbor colleague coworker manager employer secretary assistant
	a an the this that these those it its my our your his her their any some same other another new old full whole complete entire long short right
	correct wrong actual real first second third fourth last next previous main primary secondary additional extra spare backup alternate
	alternative updated replacement digit digits sixteen fifteen nineteen big large small little front back top bottom side middle here there heres theres is are was
	be been and or but with for in on at to from by as so ok okay yes yep yeah sure just only also again please pls plz thanks thx hi hello
	hey oh ah um uh said says say told use used using try tried trying charged charging type typed enter entered give gave given need want read see get
	got put take took taking save saved store add added update change changed send sent write wrote have has had not no
	payment payments pay paying pays paid bank banks banking plastic chip security secret private personal business company corporate work home family
	joint mum mums mom moms dad dads wife wifes husband husbands hubby hubbys son sons daughter daughters partner partners boss sister
	sisters brother brothers friend friends mother mothers father fathers hers mine ours yours theirs one two three s t me you him them us which whose what
	embossed printed raised magic following below above mentioned attached requested missing declined expired frozen blocked stolen lost
	meine mein meiner ihre ihr seine unsere deine die der das diese dieser dieses neue neuer neues neuen alte alten richtige richtigen falsche ganze ganzen
	vollständige komplette lange langen andere anderen folgende letzte erste zweite hier ist und vorne hinten vorderseite rückseite
	mijn de het deze dit nieuwe oude juiste hele volgende laatste eerste voorkant achterkant
	mitt min mina nya nye ny gamla gamle hela rätt rigtige riktige riktig långa denna dette denne detta andra andet andre framsidan forsiden
	uusi koko oikea tämä pitkä toinen új régi teljes helyes hosszú ez az másik yeni eski tam doğru uzun bu şu benim diğer önündeki üzerindeki ön
	tarjeta devant derrière dessus haut bas arriba abajo delante detrás atrás frente reverso verso fronte retro davanti dietro cima plástico plastique
	plastica dígitos digitos chiffres cifre cifras mon ma ton votre mi tu su mio mia tuo meu minha seu sua pago paiement pagamento pagamentos cobro banco
	banque banca cuenta compte conto conta facturación facturacion facturation fatturazione faturamento
	maman papa père mère mari femme fils fille frère soeur sœur ami amie copain copine patron mamá mamã papá pai mãe padre madre esposo esposa marido mujer mulher hijo hija filho filha
	hermano hermana irmão irmã novio novia namorado namorada jefe chefe mamma papà moglie marito figlio figlia fratello sorella
	sie ich du er wir mit unter auf von zu bei für fuer aus wie als auch nur noch aber oder nicht kein keine doch mal bitte jetzt danke ja nein gut mann mannes frau sohn tochter mutter
	vater mamas papas bruder schwester chef met op van voor bij en of niet geen graag nee u je ik wij dat med på från fra av af för till til och og är inte ikke nej nei tack takk jag jeg vi
	apám anyám férjem feleségem fiam lányom barátom annemin babamın eşimin kocamın karımın onun mənim nire hau mans šis mano tas миний энэ менің бұл
	मेरा मेरे मेरी नया पूरा यह सही दूसरा ये आपका का के की को है और से में हमारा उसका इसका अपना वाला पुराना আমার এই এর নতুন என் எனது இந்த నా ఈ મારો મારા આ નો ನನ್ನ ಈ എന്റെ ഈ ਮੇਰਾ ਇਹ ਦਾ میرا میرے یہ کا کے کی
`)

// scriptStems are names of numbers in scripts without spaces. They count at the end of what
// is written, with nothing behind them but scriptTails: "to refund to 4111" begins like one.
var scriptStems = byteWords(strings.Fields(`
	订单 訂單 订单号 单号 單號 快递 快遞 运单 運單 包裹 物流 会员 會員 发票 發票 合同 保单 保單 工单 工單 流水号 编号 編號 序列号 序列號 串号 退货 預訂 预订 客户号 交易号
	注文 発注 伝票 追跡 送り状 荷物 受付 予約 会員 顧客 契約 証券番号 領収 申し込み 申込 引き換え 取り扱い 届け 整理番号 問い合わせ 問合せ 製造番号 シリアル 管理番号 お客様番号
	주문 송장 운송장 택배 접수 예약 계약 회원 고객번호 증권번호 일련번호 시리얼 영수증 문의 거래번호 승인번호
	พัสดุ คำสั่งซื้อ ออเดอร์ ใบสั่ง ใบเสร็จ สมาชิก การจอง ติดตาม กรมธรรม์ สัญญา ใบแจ้งหนี้ ອໍເດີ အော်ဒါ ការបញ្ជាទិញ
`)...)

// scriptNumberWords are words for number in such scripts, and scriptTails what stands between
// the name of a number and the number: those, and is.
var (
	scriptNumberWords = byteWords("番号", "号码", "號碼", "编号", "編號", "号", "號", "번호", "หมายเลข", "เลข")
	scriptTails       = append(byteWords("は", "が", "の", "です", "是", "为", "為", "은", "는", "이", "가", "คือ", "เลขที่"), scriptNumberWords...)
)

// plainChinese are what stands in front of a word for number in Chinese, in either way of
// writing it, and names nothing, or what cards are paid with.
var plainChinese = byteWords("卡", "信用", "银行", "銀行", "借记", "借記", "储蓄", "儲蓄", "金融", "簽帳", "运通", "運通", "维萨", "万事达", "宝", "寶", "萬事達", "银联", "銀聯", "付款", "支付", "预付", "預付",
	"这个", "這個", "这", "這", "那", "该", "該", "此", "以下", "以上", "下面", "上面", "如下", "下列", "新", "旧", "舊", "原", "全", "另", "一", "二", "三", "个", "個", "的", "地", "是", "我", "你", "您", "他", "她", "们", "們",
	"给", "給", "用", "请", "請", "和", "跟", "把", "将", "將", "换", "換", "输入", "輸入", "完整", "正确", "正確", "正面", "背面", "什么", "什麼")

// scriptNumbers are words for "number" behind the name of what it is the number of, with
// what stands there in front of the number of a card. least is how many bytes a name has.
var scriptNumbers = []struct {
	number []byte
	plain  [][]byte
	least  int
}{
	{[]byte("番号"), byteWords("カード", "クレジット", "クレカ", "デビット", "プリペイド", "ビザ", "アメックス", "マスター", "ダイナース", "決済", "支払", "銀行", "楽天", "利用", "以下", "下記", "上記", "当該", "新規", "同じ", "全", "新", "旧", "次", "別", "口座"), 6},
	{[]byte("번호"), byteWords("카드", "신용", "체크", "직불", "비자", "마스터", "아멕스", "이", "그", "저", "제", "내", "새", "앞", "뒤", "은", "는", "가", "의", "럼", "한", "같은", "다른", "전체", "결제", "은행"), 6},
	{[]byte("号码"), plainChinese, 6},
	{[]byte("號碼"), plainChinese, 6},
}
