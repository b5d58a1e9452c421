import ReferenceKernels
import TensorKernels
import Testing

@Suite struct RearrangementTests {
    /// Twice the size, one less, and sizes that no network asks for.
    static let sizes = [
        (from: (1, 1), to: (2, 2)), (from: (3, 5), to: (6, 10)), (from: (3, 5), to: (5, 9)), (from: (4, 4), to: (4, 4)),
        (from: (4, 7), to: (13, 9)), (from: (7, 4), to: (3, 11)),
    ]

    @Test(arguments: sizes, [1, 6, 33])
    func nearestUpsampling(size: (from: (Int, Int), to: (Int, Int)), channels: Int) throws {
        let x = DoubleTensor(normal: [size.from.0, size.from.1, channels], seed: 1)
        let expected = x.resizedNearest(height: size.to.0, width: size.to.1)
        let dy = DoubleTensor(normal: expected.shape, seed: 2)
        let context = try ComputeContext(threads: 2, grain: 1)
        let y = try x.tensor(in: context).resizedNearest(height: size.to.0, width: size.to.1, in: context)
        #expect(y.shape == expected.shape && y.floats == expected.floats)
        let dx = DoubleTensor(
            try dy.tensor(in: context).resizedNearestGradient(height: size.from.0, width: size.from.1, in: context)
                .floats,
            shape: x.shape)
        let direction = DoubleTensor(normal: x.shape, seed: 3)
        let slope = dy.dot(direction.resizedNearest(height: size.to.0, width: size.to.1))
        #expect(abs(dx.dot(direction) - slope) < 1e-6 * dx.norm)
    }

    @Test(arguments: [(1, 1), (3, 5), (16, 32), (33, 7)], ElementType.allCases)
    func concatenationAndItsParts(columns: (Int, Int), type: ElementType) throws {
        let context = try ComputeContext(threads: 2, elementType: type, grain: 1)
        let a = DoubleTensor(normal: [3, 5, columns.0], seed: 1).tensor(in: context)
        let b = DoubleTensor(normal: [3, 5, columns.1], seed: 2).tensor(in: context)
        let expected = DoubleTensor(a.floats, shape: a.shape)
            .concatenatingChannels(DoubleTensor(b.floats, shape: b.shape))
        let both = a.concatenatingChannels(b, in: context)
        #expect(both.shape == [3, 5, columns.0 + columns.1] && both.floats == expected.floats)
        #expect(both.channels(0..<columns.0, in: context).floats == a.floats)
        #expect(both.channels(columns.0..<columns.0 + columns.1, in: context).floats == b.floats)
    }

    @Test func planesThereAndBack() throws {
        let context = try ComputeContext(threads: 1)
        let planes = (0..<24).map { Float($0) }
        let tensor = Tensor(planes: planes, channels: 2, height: 3, width: 4, in: context)
        #expect(tensor.shape == [3, 4, 2])
        #expect(Array(tensor.floats.prefix(4)) == [0, 12, 1, 13])
        #expect(tensor.planes == planes)
    }

    /// Rounding to nearest, ties to even; infinities, zeros' signs and NaN are kept.
    @Test func bfloat16Rounding() throws {
        let single = try ComputeContext(threads: 3, grain: 1)
        let half = single.with(elementType: .bfloat16)
        let cases: [(Float, Float)] = [
            (1, 1), (1 + 0x1p-8, 1), (1 + 3 * 0x1p-8, 1 + 0x1p-6), (1 + 0x1p-8 + 0x1p-20, 1 + 0x1p-7), (-0.0, -0.0),
            (.infinity, .infinity), (-.infinity, -.infinity), (.greatestFiniteMagnitude, .infinity),
            (0x1p-133, 0x1p-133), (-3.140625, -3.140625),
        ]
        let rounded = Tensor(cases.map(\.0) + [.nan], shape: [cases.count + 1], in: single).converted(in: half)
        #expect(rounded.elementType == .bfloat16)
        let back = rounded.converted(in: single).floats
        #expect(back.dropLast().map(\.bitPattern) == cases.map(\.1.bitPattern))
        #expect(back[cases.count].isNaN)
        #expect(!rounded.isFinite)
    }
}
