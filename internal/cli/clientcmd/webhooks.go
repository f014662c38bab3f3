package clientcmd

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
)

// Webhooks is the family of commands for webhooks.
type Webhooks struct {
	Create     WebhooksCreate     `cmd:"" help:"Subscribe a receiver; its secret is shown once."`
	List       WebhooksList       `cmd:"" help:"List the subscriptions."`
	Delete     WebhooksDelete     `cmd:"" help:"End a subscription."`
	Test       WebhooksTest       `cmd:"" help:"Send a delivery that is marked as a test."`
	Deliveries WebhooksDeliveries `cmd:"" help:"List what was sent, with every attempt."`
	Redeliver  WebhooksRedeliver  `cmd:"" help:"Send a delivery again."`
	Listen     WebhooksListen     `cmd:"" help:"Receive deliveries here: verify, print and act on them."`
}

// WebhooksCreate subscribes a receiver.
type WebhooksCreate struct {
	URL         string   `required:"" placeholder:"URL" help:"Where to post."`
	Event       []string `placeholder:"NAME" help:"rollout.promote or rollout.rollback. May be repeated (default both)."`
	AppID       string   `name:"app-id" placeholder:"APP" help:"Of this agent only."`
	Environment string   `placeholder:"NAME" help:"Of this environment only."`
	Description string   `placeholder:"TEXT" help:"What it is for."`
	JSON
}

// Help shows an example.
func (WebhooksCreate) Help() string {
	return "Example:\n\n  prova webhooks create --url https://cd.example.com/prova"
}

// Run subscribes.
func (c WebhooksCreate) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	events := c.Event
	if len(events) == 0 {
		events = api.WebhookEvents()
	}
	hook, err := client.CreateWebhook(ctx, api.CreateWebhook{URL: c.URL, Events: events, AppID: c.AppID, Environment: c.Environment, Description: c.Description})
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(hook)
	}
	env.Talk("Webhook %s for %s. This is the only time that its secret is shown:", cli.Plain(hook.ID), strings.Join(hook.Events, " and "))
	return env.Print(hook.Secret + "\n")
}

// WebhooksList lists the subscriptions.
type WebhooksList struct{ JSON }

// Help shows an example.
func (WebhooksList) Help() string { return "Example:\n\n  prova webhooks list" }

// Run lists.
func (c WebhooksList) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	hooks, err := client.Webhooks(ctx)
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(hooks)
	}
	style := env.Out()
	t := cli.Table{Head: []string{"webhook", "url", "events", "app", "environment", "state"}}
	for _, h := range hooks.Items {
		state := style.Green("on")
		if !h.Enabled {
			state = style.Red("off")
		}
		t.Add(cli.Plain(h.ID), cli.Plain(h.URL), strings.Join(h.Events, ", "), orAll(h.AppID), orAll(h.Environment), state)
	}
	return env.Print(t.Text(style))
}

// WebhooksDelete ends a subscription.
type WebhooksDelete struct {
	ID string `arg:"" help:"The webhook's id, from the list."`
}

// Help shows an example.
func (WebhooksDelete) Help() string { return "Example:\n\n  prova webhooks delete wh_…" }

// Run ends it.
func (c WebhooksDelete) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	if err := client.DeleteWebhook(ctx, c.ID); err != nil {
		return err
	}
	env.Talk("Deleted %s.", cli.Plain(c.ID))
	return nil
}

// WebhooksTest sends a test.
type WebhooksTest struct {
	ID string `arg:"" help:"The webhook's id, from the list."`
	JSON
}

// Help shows an example.
func (WebhooksTest) Help() string {
	return "The exit code is 3 if the receiver did not accept it.\n\nExample:\n\n  prova webhooks test wh_…"
}

// Run sends it.
func (c WebhooksTest) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	delivery, err := client.TestWebhook(ctx, c.ID)
	if err != nil {
		return err
	}
	return delivered(env, delivery, c.JSON.JSON)
}

// delivered prints a delivery that was asked for, and what became of it.
func delivered(env *cli.Env, d api.Delivery, asJSON bool) error {
	var err error
	if asJSON {
		err = env.PrintJSON(d)
	} else {
		err = env.Print(delivery(d, env.Out()))
	}
	if err != nil {
		return err
	}
	if d.Status == api.DeliveryFailed || d.Status == api.DeliveryPending && len(d.Attempts) > 0 {
		return cli.Exit(cli.Undecided)
	}
	return nil
}

func statusText(s api.DeliveryStatus, style cli.Style) string {
	switch s {
	case api.DeliveryDelivered:
		return style.Green(string(s))
	case api.DeliveryFailed:
		return style.Red(string(s))
	case api.DeliveryPending, api.DeliverySuperseded:
	}
	return style.Yellow(string(s))
}

// delivery writes a delivery and its attempts.
func delivery(d api.Delivery, style cli.Style) string {
	text := fmt.Sprintf("%s  %s  %s  %s  %s\n", cli.Plain(d.ID), when(d.CreatedAt), cli.Plain(d.Event), cli.Plain(d.RolloutID), statusText(d.Status, style))
	for _, a := range d.Attempts {
		result := cli.Plain(a.Error)
		if a.StatusCode != 0 {
			result = strconv.Itoa(a.StatusCode) + " " + cli.Plain(a.Answer)
		}
		text += fmt.Sprintf("  %s  %s  %d ms  %s\n", style.Dim("attempt "+strconv.Itoa(a.Number)), when(a.At), a.DurationMS, cli.Cut(result, 100))
	}
	if d.NextAt != nil {
		text += style.Dim("  next attempt "+when(*d.NextAt)) + "\n"
	}
	return text
}

// WebhooksDeliveries lists what was sent.
type WebhooksDeliveries struct {
	ID string `arg:"" help:"The webhook's id, from the list."`
	Pages
	JSON
}

// Help shows an example.
func (WebhooksDeliveries) Help() string { return "Example:\n\n  prova webhooks deliveries wh_…" }

// Run lists.
func (c WebhooksDeliveries) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	list, err := client.Deliveries(ctx, c.ID, c.page())
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(list)
	}
	for _, d := range list.Items {
		if err := env.Print(delivery(d, env.Out())); err != nil {
			return err
		}
	}
	more(env, list.NextCursor)
	return nil
}

// WebhooksRedeliver sends a delivery again.
type WebhooksRedeliver struct {
	ID string `arg:"" help:"The delivery's id, from the deliveries."`
	JSON
}

// Help shows an example.
func (WebhooksRedeliver) Help() string { return "Example:\n\n  prova webhooks redeliver dlv_…" }

// Run sends it.
func (c WebhooksRedeliver) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	delivery, err := client.Redeliver(ctx, c.ID)
	if err != nil {
		return err
	}
	return delivered(env, delivery, c.JSON.JSON)
}
