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

    private func pasted(
        _ generated: RGBImage, over original: RGBImage, mask: BinaryMask, feather: Int, blur: Int = 0
    ) -> RGBImage {
        var result = original
        result.paste(generated, mask: mask, feather: feather, blur: blur)
        return result
    }

    @Test func withoutFeatherEveryPixelIsOneOrTheOther() {
        let mask = randomMask(width: 19, height: 11, share: 0.5)
        let pasted = pasted(
            plain(200, width: 19, height: 11), over: plain(10, width: 19, height: 11), mask: mask, feather: 0)
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
        let pasted = pasted(
            plain(255, width: width, height: height), over: plain(0, width: width, height: height), mask: mask,
            feather: feather)
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
        let pasted = pasted(
            plain(255, width: width, height: height), over: plain(0, width: width, height: height), mask: mask,
            feather: feather, blur: blur)
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
        #expect(pasted(generated, over: original, mask: full, feather: 4) == generated)
        #expect(pasted(generated, over: original, mask: full.inverted, feather: 4) == original)
        #expect(full.repaintedCount == 12 && full.inverted.repaintedCount == 0)
    }

    /// A cut that has as much around the hole as the blend reaches gives the pixels of the whole picture.
    @Test(arguments: [0, 1, 3])
    func aCutIsPastedAsTheWholeIs(feather: Int) throws {
        let (width, height) = (40, 30)
        let ragged = randomMask(width: width, height: height, share: 0.9)
        let values = ragged.values.indices.map { pixel in
            (12..<31).contains(pixel % width) && (9..<22).contains(pixel / width) ? ragged.values[pixel] : 0
        }
        let mask = BinaryMask(width: width, height: height, values: values)
        let box = try #require(mask.hole).padded(by: feather + 1, inside: (width, height))
        var generator = SeededGenerator(state: 8)
        func noise() -> RGBImage {
            RGBImage(
                width: width, height: height,
                bytes: (0..<3 * width * height).map { _ in UInt8.random(in: 0...255, using: &generator) })
        }
        let (generated, original) = (noise(), noise())
        var result = original
        result.paste(
            generated.cut(box), x: box.x.lowerBound, y: box.y.lowerBound, mask: mask.cut(box), feather: feather)
        #expect(result == pasted(generated, over: original, mask: mask, feather: feather))
        var whole = original
        whole.paste(generated.cut(box), x: box.x.lowerBound, y: box.y.lowerBound, mask: nil, feather: feather)
        #expect(whole.cut(box) == generated.cut(box))
        #expect(whole != generated)
    }

    @Test func holesThatTouchTilesAreOne() {
        var values = [UInt8](repeating: 0, count: 64 * 48)
        for (x, y) in [(3, 2), (9, 2), (15, 15), (40, 3), (63, 47)] { values[y * 64 + x] = 1 }
        let mask = BinaryMask(width: 64, height: 48, values: values)
        // Tiles of 8: the first three pixels are in tiles that touch, at a corner too.
        #expect(
            mask.holes(apart: 8) == [
                PixelBox(x: 3..<16, y: 2..<16), PixelBox(x: 40..<41, y: 3..<4), PixelBox(x: 63..<64, y: 47..<48),
            ])
        #expect(mask.hole == PixelBox(x: 3..<64, y: 2..<48))
        #expect(BinaryMask(width: 2, height: 2, values: [0, 0, 0, 0]).hole == nil)
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
