import Failures
import NeuralLayers
import TensorKernels

/// The weights of one network out of a checkpoint, each found under any of the names its tensor has had.
///
/// Layers ask for the current diffusers names; CLIP's without the `text_model.` prefix. Where a file has several
/// tensors in one, each is a view of its rows. `finish()` tells what did not fit. Not for use by two threads at once.
public final class CheckpointWeights: WeightSource {
    public let checkpoint: Checkpoint
    public let store: WeightStore
    private var used: Set<String> = []
    private var asked: Set<String> = []
    private var missing: [String] = []
    private var misshapen: [String] = []
    private var unreadable: [String] = []

    /// - Parameter store: where the network keeps what it computes with; of its own by default.
    public init(_ checkpoint: Checkpoint, store: WeightStore = WeightStore()) {
        self.checkpoint = checkpoint
        self.store = store
    }

    public func contains(_ key: String) -> Bool { place(of: key) != nil }

    public func tensor(_ key: String, _ shape: [Int]) -> StoredTensor {
        let isFirstAsking = asked.insert(key).inserted
        guard let found = find(key, shape, isFirstAsking: isFirstAsking) else {
            return StoredTensor(placeholder: key, shape: shape)
        }
        if isFirstAsking {
            if let index = found.firstNonFinite {
                unreadable.append("\(quoted(found.name)) is NaN or infinite at element \(index)")
            }
            // Layers read their weights when they are first used; until then they are not to fill the memory.
            found.releasePages()
        }
        return found.reshaped(shape)
    }

    /// The tensor, if it is there, of the shape and of a type that networks have; what is wrong is remembered once.
    private func find(_ key: String, _ shape: [Int], isFirstAsking: Bool) -> StoredTensor? {
        guard let place = place(of: key), let found = checkpoint.tensors[place.name] else {
            if isFirstAsking { missing.append(quoted(checkpoint.naming.places(of: key).first?.name ?? key)) }
            return nil
        }
        used.insert(place.name)
        let whole = place.parts == 1 ? shape : [shape[0] * place.parts] + shape.dropFirst()
        guard Self.isSame(found.shape, whole) else {
            if isFirstAsking { note("\(quoted(found.name)) is \(found.shape), expected \(whole)", in: &misshapen) }
            return nil
        }
        guard found.elementType.isNetworkType else {
            if isFirstAsking {
                note(
                    "\(quoted(found.name)) is \(found.elementType.rawValue), expected F32, F16 or BF16",
                    in: &unreadable)
            }
            return nil
        }
        return place.parts == 1 ? found : found.rows(part: place.part, of: place.parts)
    }

    /// A tensor of several parts is asked for as often, and told of once.
    private func note(_ fault: String, in faults: inout [String]) {
        if !faults.contains(fault) { faults.append(fault) }
    }

    /// Has `finish()` look, too, for tensors that others will read: there and of the right shape, whatever their
    /// values. So a stage knows of the whole network's faults, and of tensors that belong to no part of it.
    public func expect(_ requests: [TensorRequest]) {
        for request in requests where asked.insert(request.key).inserted {
            _ = find(request.key, request.shape, isFirstAsking: true)
        }
    }

    /// Says whether all that was asked for was there, and fit.
    ///
    /// - Throws: `Failure.badData` with the names of missing, misshapen, unreadable and surplus tensors. A tensor that
    ///   nobody asked for or expects means that the network is another than the one that was trained.
    public func finish() throws {
        let faults = [
            ("missing", missing), ("of another shape", misshapen), ("unusable", unreadable),
            ("surplus", surplusNames().map(quoted)),
        ].filter { !$0.1.isEmpty }
        guard !faults.isEmpty else { return }
        let description = faults.map { "\($0.1.count) \($0.0): \(Self.listed($0.1))" }.joined(separator: "; ")
        throw Failure.badData(
            "\(checkpoint.location): the tensors are not those \(checkpoint.expectation): \(description)")
    }

    private func place(of key: String) -> TensorPlace? {
        checkpoint.naming.places(of: key).first { checkpoint.tensors[$0.name] != nil }
    }

    private func surplusNames() -> [String] {
        checkpoint.tensors.keys.filter { !used.contains($0) && checkpoint.naming.uselessPattern(of: $0) == nil }
            .sorted()
    }

    // A 1x1 convolution and a linear layer hold the same numbers, and projections have been saved as either.
    private static func isSame(_ stored: [Int], _ asked: [Int]) -> Bool {
        func withoutKernel(_ shape: [Int]) -> [Int] {
            shape.count == 4 && shape[2] == 1 && shape[3] == 1 ? Array(shape.prefix(2)) : shape
        }
        return stored == asked || withoutKernel(stored) == withoutKernel(asked)
    }

    private static func listed(_ names: [String]) -> String {
        let limit = 10
        let rest = names.count - limit
        return names.prefix(limit).joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }
}
