import TensorKernels

/// The part of a checkpoint under one prefix: where a layer finds its parameters by their names in PyTorch.
public struct ParameterScope {
    private let source: any WeightSource
    /// The prefix with its dots, for instance `down_blocks.0.resnets.1`; empty at the root.
    public let path: String

    public init(_ source: any WeightSource, path: String = "") {
        self.source = source
        self.path = path
    }

    /// The scope of a part: `scope["resnets.0"]`.
    public subscript(part: String) -> ParameterScope {
        ParameterScope(source, path: key(part))
    }

    /// The parameter `name` of this scope, which must have `shape`.
    public func weight(_ name: String, _ shape: [Int]) -> Weight {
        Weight(source.tensor(key(name), shape), in: source.store)
    }

    /// The same under another shape of as many elements.
    public func weight(_ name: String, _ shape: [Int], as other: [Int]) -> Weight {
        Weight(source.tensor(key(name), shape).reshaped(other), in: source.store)
    }

    public func contains(_ name: String) -> Bool { source.contains(key(name)) }

    private func key(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
}
