package detect

import "testing"

// Valid numbers are examples that offices publish or were made for this test with
// a right check; the invalid ones differ in the way that is named.
func TestChecksums(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		check          func([]byte) bool
		valid, invalid []string
	}{
		"routing": {validRouting, []string{"021000021", "011401533", "122105155"}, []string{"021000022", "131000021", "000000000", "991000021"}},
		"NHS":     {validNHS, []string{"9434765919", "4010232137"}, []string{"9434765918", "9434765199", "0000000000", "1234567890"}},
		"SIN":     {validSIN, []string{"675749113", "046454286"}, []string{"675749114", "811111110", "000000000"}},
		"TFN":     {validTFN, []string{"123456782", "876543210", "37118629"}, []string{"123456781", "37118628", "000000000"}},
		"tax id":  {validSteuerID, []string{"86095742719", "47036892816", "65929970489"}, []string{"86095742718", "06095742719", "12345678903", "11111111111"}},
		"NIR": {validNIR, []string{"295109912611193", "253072B07300470", "253072A07300443"},
			[]string{"295109912611194", "395109912611193", "295139912611193", "253072B07300471"}},
		"DNI":             {validDNI, []string{"12345678Z", "X1234567L", "12345678z", "y1234567x"}, []string{"12345678A", "X1234567M", "1234567XZ", "00000000T"}},
		"fiscal code":     {validFiscalCode, []string{"RSSMRA85T10A562S", "rssmra85t10a562s"}, []string{"RSSMRA85T10A562T", "RSSMRA85T32A562S", "RSSMRA85Z10A562S", "RSS1RA85T10A562S"}},
		"BSN":             {validBSN, []string{"111222333"}, []string{"111222334", "000000000"}},
		"PESEL":           {validPESEL, []string{"44051401359", "02070803628"}, []string{"44051401358", "44131401350", "44053201350"}},
		"personal number": {validPersonnummer, []string{"8112189876", "7010632391"}, []string{"8112189875", "8113189874", "8112329879"}},
		"CPF":             {validCPF, []string{"52998224725"}, []string{"52998224724", "52998224715", "11111111111"}},
		"CNPJ":            {validCNPJ, []string{"11222333000181", "12ABC34501DE35", "12abc34501de35"}, []string{"11222333000182", "11222333000191", "12ABC34501DE36", "12ABC34501DEAB", "00000000000000"}},
		"Aadhaar":         {validAadhaar, []string{"234123412346"}, []string{"234123412345", "134123412346", "234123412364"}},
		"CURP":            {validCURP, []string{"HEGG560427MVZRRL04", "hegg560427mvzrrl04"}, []string{"HEGG560427MVZRRL05", "HEGG561427MVZRRL04", "HEGG560427QVZRRL04", "HEG1560427MVZRRL04"}},
		"NPI":             {validNPI, []string{"1234567893", "1245319599"}, []string{"1234567890", "3234567893"}},
		"DEA":             {validDEA, []string{"AV7990751", "F91234563"}, []string{"AV7990752", "AVX990751", "A17990751", "AA0000000"}},
		"MBI":             {validMBI, []string{"1EG4TE5MK73", "1eg4te5mk73"}, []string{"1EG4TE5MK7S", "0EG4TE5MK73", "1SG4TE5MK73", "1EGATE5MK73"}},
		"NINO":            {validNINO, []string{"AB123456C", "ab123456d"}, []string{"DA123456C", "AO123456C", "GB123456C", "AB123456E", "AB12345CC", "QQ123456C"}},
		"Indian PAN":      {validIndianPAN, []string{"ABCPE1234F", "abcce1234f"}, []string{"ABCDE1234F", "ABCPE12345", "ABCP11234F"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, v := range c.valid {
				if !c.check([]byte(v)) {
					t.Errorf("%s is refused", v)
				}
			}
			for _, v := range c.invalid {
				if c.check([]byte(v)) {
					t.Errorf("%s passes", v)
				}
			}
		})
	}
}

// A valid identifier stops being one when a digit changes; DEA numbers, whose
// check misses one change in nine, are not in the table.
func TestChecksumsSeeOneWrongDigit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		check func([]byte) bool
		valid string
	}{
		"routing": {validRouting, "021000021"}, "NHS": {validNHS, "9434765919"}, "SIN": {validSIN, "675749113"}, "TFN": {validTFN, "123456782"},
		"tax id": {validSteuerID, "86095742719"}, "NIR": {validNIR, "295109912611193"}, "BSN": {validBSN, "111222333"}, "PESEL": {validPESEL, "44051401359"},
		"personal number": {validPersonnummer, "8112189876"}, "CPF": {validCPF, "52998224725"}, "CNPJ": {validCNPJ, "11222333000181"},
		"Aadhaar": {validAadhaar, "234123412346"}, "NPI": {validNPI, "1234567893"}, "DNI": {validDNI, "12345678Z"},
	} {
		for i := range c.valid {
			for d := byte('0'); d <= '9'; d++ {
				if v := []byte(c.valid); isDigit(v[i]) && v[i] != d {
					v[i] = d
					if c.check(v) {
						t.Errorf("%s: %s passes like %s", name, v, c.valid)
					}
				}
			}
		}
	}
}
