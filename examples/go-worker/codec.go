package main

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/proto"
)

// codec replaces the one that gRPC of before 2021 brings. That one marshals through the first Go protobuf library, by
// struct tags; messages generated today carry their own state, and are read and written by the second one.
type codec struct{}

func init() { encoding.RegisterCodec(codec{}) } // after gRPC's own init: the last one registered counts

func (codec) Name() string { return "proto" }

func (codec) Marshal(v interface{}) ([]byte, error) {
	message, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no protobuf message", v)
	}
	return proto.Marshal(message)
}

func (codec) Unmarshal(data []byte, v interface{}) error {
	message, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", v)
	}
	return proto.Unmarshal(data, message)
}
