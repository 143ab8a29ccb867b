package main

import (
	"encoding/binary"
	"hash/fnv"

	pb "holdfast/v1"
)

// key is one entry of the inventory: a token, or a nonce while asked.
type key struct{ token, nonce uint64 }

// mirror is what the coordinator knows of this worker's inventory, changed by the events that the comment at
// `message Heartbeat` lists, and by no others.
type mirror map[key]pb.InventoryPhase

func (m mirror) put(token uint64, phase pb.InventoryPhase) { m[key{token: token}] = phase }

func (m mirror) permit(nonce, token uint64) {
	delete(m, key{nonce: nonce})
	if _, there := m[key{token: token}]; !there {
		m.put(token, pb.InventoryPhase_INVENTORY_PHASE_RUNNING)
	}
}

// hash is the sum of the entries' FNV-1a hashes modulo 2^32; uint32 overflows just so.
func (m mirror) hash() (sum uint32) {
	for entry, phase := range m {
		var bytes [17]byte
		binary.LittleEndian.PutUint64(bytes[0:], entry.token)
		binary.LittleEndian.PutUint64(bytes[8:], entry.nonce)
		bytes[16] = byte(phase)
		one := fnv.New32a()
		one.Write(bytes[:])
		sum += one.Sum32()
	}
	return sum
}
