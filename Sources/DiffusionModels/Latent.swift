/// A small picture of float32 planes, channels first: a latent, a noise prediction, a loss gradient.
///
/// Shape `[channels, height, width]`; `values[(c * height + y) * width + x]`. It is what the method, the sampler and
/// the messages between ranks hold (64 KB at 512 x 512); inside the networks everything is a channels-last `Tensor`.
public struct Latent: Sendable, Equatable {
    public let channels: Int
    public let height: Int
    public let width: Int
    public var values: [Float]

    /// - Precondition: `values.count == channels * height * width`.
    public init(channels: Int, height: Int, width: Int, values: [Float]) {
        precondition(values.count == channels * height * width, "a latent's values must fill its shape")
        self.channels = channels
        self.height = height
        self.width = width
        self.values = values
    }

    public init(repeating value: Float = 0, channels: Int, height: Int, width: Int) {
        self.init(
            channels: channels, height: height, width: width,
            values: [Float](repeating: value, count: channels * height * width))
    }

    public var shape: [Int] { [channels, height, width] }
    public var planeCount: Int { height * width }

    public var isFinite: Bool { values.allSatisfy(\.isFinite) }
}
