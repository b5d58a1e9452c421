import Failures
import Foundation

// What all ranks do together. Every rank must call the same operations in the same order. The messages are few and
// small, so rank 0 (or the root) speaks to each rank in turn.
extension Communicator {
    /// Returns when every rank has come here.
    public func barrier() async throws {
        if rank == 0 {
            for other in 1..<max(size, 1) { _ = try await receive(from: other, tag: .barrier) }
            for other in 1..<max(size, 1) { try await send([UInt8](), to: other, tag: .barrier) }
        } else {
            try await send([UInt8](), to: 0, tag: .barrier)
            _ = try await receive(from: 0, tag: .barrier)
        }
    }

    /// Gives every rank the bytes that `root` passes; the other ranks' argument is ignored.
    public func broadcast(_ bytes: [UInt8], from root: Int = 0) async throws -> [UInt8] {
        guard rank == root else { return try await receive(from: root, tag: .broadcast) }
        for other in 0..<size where other != root { try await send(bytes, to: other, tag: .broadcast) }
        return bytes
    }

    /// Collects one value of each rank at `root`, in the order of the ranks; nil on the other ranks.
    public func gather<Value: Codable & Sendable>(_ value: Value, at root: Int = 0) async throws -> [Value]? {
        guard rank == root else {
            try await send(value, to: root, tag: .gather)
            return nil
        }
        var values: [Value] = []
        for other in 0..<size {
            values.append(other == root ? value : try await receive(Value.self, from: other, tag: .gather))
        }
        return values
    }

    /// Sends a small value as JSON.
    public func send<Value: Encodable & Sendable>(_ value: Value, to destination: Int, tag: MessageTag) async throws {
        try await send([UInt8](JSONEncoder().encode(value)), to: destination, tag: tag)
    }

    /// Receives a small value that was sent as JSON.
    public func receive<Value: Decodable & Sendable>(
        _: Value.Type, from source: Int, tag: MessageTag
    ) async throws -> Value {
        let bytes = try await receive(from: source, tag: tag)
        do {
            return try JSONDecoder().decode(Value.self, from: Data(bytes))
        } catch {
            throw Failure.internalFault("rank \(source) sent what is no \(Value.self): \(error)")
        }
    }

    /// Sends numbers, bit for bit.
    public func send(_ numbers: [Float], to destination: Int, tag: MessageTag) async throws {
        var writer = ByteWriter(reservingCapacity: numbers.count * MemoryLayout<Float>.size)
        writer.write(numbers)
        try await send(writer.bytes, to: destination, tag: tag)
    }

    /// Receives numbers, as many as `count`.
    public func receiveFloats(count: Int, from source: Int, tag: MessageTag) async throws -> [Float] {
        var reader = ByteReader(try await receive(from: source, tag: tag), subject: "numbers from rank \(source)")
        let numbers = try reader.readFloats(count: count)
        try reader.finish()
        return numbers
    }
}
