#!/bin/sh
# Makes what prod.yml mounts as secrets, each once: run it again after deleting one to have a new one. A password goes
# together with what it stands in, below (redis_password with redis_conf and redis_url), and its server has to be told. The folder is its owner's alone; its files are read in containers by other users.
set -eu
umask 077
folder=${1:-secrets}
mkdir -p "$folder"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

keep() {
    [ -e "$folder/$1" ] || printf '%s\n' "$2" > "$folder/$1"
    chmod 644 "$folder/$1"
}

keep auth_secret_key "$(random)"
keep postgres_password "$(random)"
keep redis_password "$(random)"
keep rabbitmq_password "$(random)"
keep metrics_token "$(random)"
# Empty until you have a mail server that asks for one.
keep smtp_password ""

read -r postgres < "$folder/postgres_password"
read -r redis < "$folder/redis_password"
read -r rabbitmq < "$folder/rabbitmq_password"

# The same passwords, in the words of those who need them.
keep database_url "postgresql://key2key:$postgres@postgres/key2key"
keep redis_url "redis://:$redis@redis:6379/0"
keep redis_conf "requirepass $redis"
keep amqp_url "amqp://key2key:$rabbitmq@rabbitmq/key2key"
keep rabbitmq_conf "default_user = key2key
default_pass = $rabbitmq
default_vhost = key2key"
