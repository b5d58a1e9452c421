import TensorKernels

/// The map from an output's gradient to the input's: dy -> J^T dy.
///
/// Holds only what it needs; there is no tape, no graph, and no weight ever has a gradient. To be called once at most:
/// whoever holds it lets go of it with the call, so that what it holds goes as the backward pass goes on.
public typealias Pullback = (Tensor) throws -> Tensor

/// A function of one tensor with its weights inside.
public protocol Layer: Sendable {
    func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor
    /// The same value, and the way back for gradients.
    func withPullback(_ x: Tensor, in context: ComputeContext) throws -> (y: Tensor, pullback: Pullback)
}
