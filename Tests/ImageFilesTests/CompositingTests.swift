import Failures
import Foundation
import ImageFiles
import Testing

struct CompositingTests {
    private func randomMask(width: Int, height: Int, share: Double) -> BinaryMask {
        var generator = SeededGenerator(state: 5)
        let values = (0..<(width * height)).map { _ -> UInt8 in
            Double.random(in: 0..<1, using: &generator) < share ? 1 : 0
        }
        return BinaryMask(width: width, height: height, values: values)
    }

    private func plain(_ value: UInt8, width: Int, height: Int) -> RGBImage {
        RGBImage(width: width, height: height, bytes: [UInt8](repeating: value, count: width * height * 3))
    }

    @Test func withoutFeatherEveryPixelIsOneOrTheOther() {
        let mask = randomMask(width: 19, height: 11, share: 0.5)
        let pasted = plain(200, width: 19, height: 11).pasted(
            over: plain(10, width: 19, height: 11), mask: mask, feather: 0)
        for pixel in 0..<(19 * 11) {
            #expect(pasted.bytes[3 * pixel + 1] == (mask.values[pixel] == 1 ? 200 : 10))
        }
    }

    /// Against the distance to the nearest kept pixel found by trying all of them.
    @Test(arguments: [1, 2, 5, 100, Int.max])
    func featherRisesWithEuclideanDistance(feather: Int) {
        let (width, height) = (23, 17)
        let mask = randomMask(width: width, height: height, share: 0.97)
        let kept = mask.values.indices.filter { mask.values[$0] == 0 }
        let pasted = plain(255, width: width, height: height).pasted(
            over: plain(0, width: width, height: height), mask: mask, feather: feather)
        for pixel in mask.values.indices {
            let distances = kept.map { other -> Double in
                let (dx, dy) = (pixel % width - other % width, pixel / width - other / width)
                return Double(dx * dx + dy * dy).squareRoot()
            }
            let weight = min(1, (distances.min() ?? 0) / (Double(feather) + 1))
            #expect(pasted.bytes[3 * pixel] == UInt8((255 * weight).rounded(.toNearestOrEven)), "pixel \(pixel)")
        }
    }

    /// Against the same distance: the blur counts where it rises more slowly than the feather, and leaves kept pixels.
    @Test(arguments: [(0, 1), (4, 1), (4, 6), (20, 6), (0, 256)])
    func blurRisesAsTheEdgeOfABlurredMask(feather: Int, blur: Int) {
        let (width, height) = (40, 3)
        let mask = BinaryMask(
            width: width, height: height, values: (0..<width * height).map { $0 % width < 5 ? 0 : 1 })
        let pasted = plain(255, width: width, height: height).pasted(
            over: plain(0, width: width, height: height), mask: mask, feather: feather, blur: blur)
        for pixel in mask.values.indices {
            let distance = Double(max(0, pixel % width - 4))
            let ramp = distance / Double(feather + 1)
            // The Gaussian's share on one side, by the trapezium rule.
            let steps = 2000
            let density = (0...steps).map { step -> Double in
                let x = distance * Double(step) / Double(steps) / Double(blur)
                return exp(-x * x / 2) * (step == 0 || step == steps ? 0.5 : 1)
            }
            let share = 2 * density.reduce(0, +) * distance / Double(steps * blur) / (2 * Double.pi).squareRoot()
            let expected = 255 * min(1, ramp, share)
            #expect(abs(Double(pasted.bytes[3 * pixel]) - expected) < 0.51, "pixel \(pixel)")
            if mask.values[pixel] == 0 { #expect(pasted.bytes[3 * pixel] == 0) }
        }
    }

    /// Against all pixels within the radius.
    @Test(arguments: [-30, -3, -1, 1, 2, 5, 100])
    func masksGrowAndShrinkByADisc(radius: Int) {
        let (width, height) = (23, 17)
        for share in [0.02, 0.5, 0.97, 0, 1] {
            let mask = randomMask(width: width, height: height, share: share)
            let reached: UInt8 = radius > 0 ? 1 : 0
            let expected = mask.values.indices.map { pixel -> UInt8 in
                let reach = mask.values.indices.contains { other in
                    let (dx, dy) = (pixel % width - other % width, pixel / width - other / width)
                    return mask.values[other] == reached && dx * dx + dy * dy <= radius * radius
                }
                return reach ? reached : mask.values[pixel]
            }
            #expect(mask.grown(by: radius).values == expected, "\(share)")
        }
        #expect(randomMask(width: 5, height: 4, share: 0.5).grown(by: 0) == randomMask(width: 5, height: 4, share: 0.5))
    }

    @Test func fullAndEmptyMasks() {
        let (generated, original) = (plain(1, width: 4, height: 3), plain(2, width: 4, height: 3))
        let full = BinaryMask(width: 4, height: 3, values: [UInt8](repeating: 1, count: 12))
        #expect(generated.pasted(over: original, mask: full, feather: 4) == generated)
        #expect(generated.pasted(over: original, mask: full.inverted, feather: 4) == original)
        #expect(full.repaintedCount == 12 && full.inverted.repaintedCount == 0)
    }

    @Test func greyFromOneHalfOnIsRepainted() {
        let grey = GreyImage(width: 4, height: 1, bytes: [0, 127, 128, 255])
        #expect(grey.binaryMask().values == [0, 0, 1, 1])
    }

    @Test func planesAndBytes() throws {
        let all = RGBImage(width: 256, height: 1, bytes: (0..<256).flatMap { [UInt8($0), 255 - UInt8($0), 7] })
        let planes = all.planes
        #expect(planes[0] == -1 && planes[255] == 1 && planes[256] == 1 && planes[512] == 7 / Float(127.5) - 1)
        #expect(try RGBImage(planes: planes, width: 256, height: 1) == all)
        // Halves go to the even byte: 0.5 / 255 and 1.5 / 255 lie on the boundary; what is beyond [-1, 1] is clamped.
        let rounded = try RGBImage(planes: [-3, 3, 0], width: 1, height: 1)
        #expect(rounded.bytes == [0, 255, 128])
    }

    @Test(arguments: [Float.nan, .infinity])
    func aNumberThatIsNotFiniteIsRefused(value: Float) throws {
        let thrown = try #require(
            failure { _ = try RGBImage(planes: [0, 0, 0, 0, 0, value], width: 2, height: 1) })
        #expect(thrown.kind == .internalFault)
        #expect(thrown.message.contains("channel 2, row 0, column 1"))
    }
}
