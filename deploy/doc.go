// Package deploy holds how crossdock is run: the image, docker-compose.yml's files, Kubernetes
// manifests, Prometheus rules, Grafana dashboards. Its tests check all of them, and every command
// and name that the documentation mentions, without any engine: against the official schemas and
// parsers, and against the program itself.
package deploy
