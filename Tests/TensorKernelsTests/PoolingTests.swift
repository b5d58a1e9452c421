import ReferenceKernels
import TensorKernels
import Testing

/// What T2I-Adapters do between their convolutions, against loops that say it plainly.
@Suite struct PoolingTests {
    @Test(arguments: [(1, 1), (2, 2), (3, 5), (8, 7), (1, 4)], [1, 3, 17])
    func everySquareHasItsMean(size: (Int, Int), channels: Int) throws {
        let x = DoubleTensor(normal: [size.0, size.1, channels], seed: 1)
        let context = try ComputeContext(threads: 2, grain: 1)
        let pooled = x.tensor(in: context).averagePooled(in: context)
        #expect(pooled.shape == [(size.0 + 1) / 2, (size.1 + 1) / 2, channels])
        var expected: [Double] = []
        for y in stride(from: 0, to: size.0, by: 2) {
            for x0 in stride(from: 0, to: size.1, by: 2) {
                let places = [(y, x0), (y, x0 + 1), (y + 1, x0), (y + 1, x0 + 1)].filter {
                    $0.0 < size.0 && $0.1 < size.1
                }
                for channel in 0..<channels {
                    let sum = places.reduce(0) { $0 + x.values[($1.0 * size.1 + $1.1) * channels + channel] }
                    expected.append(sum / Double(places.count))
                }
            }
        }
        for (found, mean) in zip(pooled.floats, expected) { #expect(abs(Double(found) - mean) < 1e-6) }
    }

    @Test func negativeNumbersBecomeZero() throws {
        let context = try ComputeContext(threads: 2, grain: 1)
        let x = Tensor([-1, 0, 2, -0.5, 3, -7], shape: [2, 3], in: context)
        #expect(x.rectified(in: context).floats == [0, 0, 2, 0, 3, 0])
    }

    /// Channel, row, column of a pixel in its square are the channel, as in PyTorch's `pixel_unshuffle`.
    @Test func squaresBecomePositions() throws {
        let context = try ComputeContext(threads: 1)
        let (channels, height, width, factor) = (2, 4, 6, 2)
        let planes = (0..<channels * height * width).map(Float.init)
        let squares = Tensor(
            unshuffling: planes, channels: channels, height: height, width: width, factor: factor, in: context)
        #expect(squares.shape == [2, 3, 8])
        // The square in the second row's last place.
        #expect(Array(squares.floats.suffix(8)) == [16, 17, 22, 23, 40, 41, 46, 47])
        #expect(Array(squares.floats.prefix(8)) == [0, 1, 6, 7, 24, 25, 30, 31])
    }
}
