package audit

const torturedEnv = "CAREGATE_AUDIT_TORTURED"

func tortured(dir string) {}
