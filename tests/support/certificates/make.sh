#!/bin/sh
# Makes the certificates of the TLS tests with openssl; needed again only if one more is wanted.
# Each NAME.pem holds a certificate and its key, which protects nothing. ca.pem signs all but two.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key"; }

authority() { # file, name
    key "$1"
    openssl req -x509 -new -key "$work/$1.key" -days 36500 -subj "/CN=$2" \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -out "$work/$1.pem"
}

signed() { # name, host, first day, last day, authority
    key "$1"
    openssl req -new -key "$work/$1.key" -subj "/CN=$2" -out "$work/$1.csr"
    : > "$work/index.txt"
    openssl rand -hex 8 > "$work/serial"
    printf '%s\n' '[ca]' 'default_ca=d' '[d]' "database=$work/index.txt" "serial=$work/serial" \
        "new_certs_dir=$work" 'default_md=sha256' 'policy=p' 'x509_extensions=e' \
        '[p]' 'commonName=supplied' \
        '[e]' 'basicConstraints=critical,CA:FALSE' "subjectAltName=DNS:$2" \
        'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid' > "$work/ca.cnf"
    openssl ca -batch -notext -config "$work/ca.cnf" -cert "$work/$5.pem" -keyfile "$work/$5.key" \
        -startdate "$3" -enddate "$4" -in "$work/$1.csr" -out "$work/$1.pem" 2> /dev/null
    cat "$work/$1.pem" "$work/$1.key" > "$1.pem"
}

authority ca "cxai test CA"
authority unknown "an unknown CA"
cp "$work/ca.pem" ca.pem
signed good localhost 20200101000000Z 21200101000000Z ca
signed expired localhost 20200101000000Z 20200102000000Z ca
signed not_yet_valid localhost 21100101000000Z 21200101000000Z ca
signed other_host elsewhere.example 20200101000000Z 21200101000000Z ca
signed unknown_authority localhost 20200101000000Z 21200101000000Z unknown
key self_signed
openssl req -x509 -new -key "$work/self_signed.key" -days 36500 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -out "$work/self_signed.pem"
cat "$work/self_signed.pem" "$work/self_signed.key" > self_signed.pem
