package runsvc_test

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

func setTrailer(ctx context.Context, key, value string) error {
	return grpc.SetTrailer(ctx, metadata.Pairs(key, value))
}

func TestOwnerGoesWithEveryCallAndWatchOfItsView(t *testing.T) {
	var owners [][]string
	note := func(ctx context.Context) {
		owners = append(owners, metadata.ValueFromIncomingContext(ctx, "runsvc-owner"))
	}
	s := &server{
		get: func(ctx context.Context) (*runsvcv1.GetResponse, error) {
			note(ctx)
			return &runsvcv1.GetResponse{Run: run(running, 2)}, nil
		},
		stream: func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
			note(stream.Context())
			return nil
		},
	}
	client := s.client(t)
	for _, view := range []*runsvc.Client{client.ForOwner("ann"), client, client.ForOwner("ann").ForOwner("")} {
		if _, err := view.Get(t.Context(), &runsvcv1.GetRequest{}); err != nil {
			t.Fatal(err)
		}
		for _, err := range view.Watch(t.Context(), runsvc.All()) {
			t.Fatal(err)
		}
	}
	want := [][]string{{"ann"}, {"ann"}, nil, nil, {""}, {""}}
	if !slices.EqualFunc(owners, want, slices.Equal) {
		t.Fatal(owners)
	}
	if _, err := client.ForOwner("an n").Get(t.Context(), &runsvcv1.GetRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Fatal(err)
	}
}
