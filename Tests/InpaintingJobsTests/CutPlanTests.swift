import Failures
import ImageFiles
import InpaintingJobs
import Testing

/// Where photographs are cut, on holes, sizes and models drawn by lot.
@Suite struct CutPlanTests {
    /// A drawn case: a photograph, a model, holes.
    private struct Case {
        let photograph: PictureSize
        let model: ModelSizes
        let padding: AreaPadding
        let feather: Int
        let mask: BinaryMask
        let plan: CutPlan

        init(_ number: Int) throws {
            var lot = SplitMix(state: UInt64(number) &* 7919 &+ 3)
            let (width, height) = (lot.number(1...900), lot.number(1...900))
            photograph = PictureSize(width: width, height: height)
            let factor = [4, 8].randomElement(using: &lot) ?? 8
            let side = [nil, 64, 96, 128, 256][lot.number(0...4)]
            model = ModelSizes(factor: factor, coarsestFactor: factor << lot.number(0...3), trainedSide: side)
            padding = try #require(AreaPadding(rawValue: ["0", "7", "40", "0%", "50%", "300%"][lot.number(0...5)]))
            feather = lot.number(0...12)
            var values = [UInt8](repeating: 0, count: width * height)
            for _ in 0..<lot.number(1...5) {
                let (left, top) = (lot.number(0...width - 1), lot.number(0...height - 1))
                let right = min(width, left + lot.number(1...max(1, width / lot.number(1...30))))
                let bottom = min(height, top + lot.number(1...max(1, height / lot.number(1...30))))
                for y in top..<bottom { for x in left..<right { values[y * width + x] = 1 } }
            }
            mask = BinaryMask(width: width, height: height, values: values)
            plan = try CutPlan(
                photograph: photograph, model: model, asked: nil, padding: padding, feather: feather)
        }
    }

    private func box(_ cut: PictureCut) -> PixelBox {
        PixelBox(x: cut.x..<cut.x + cut.width, y: cut.y..<cut.y + cut.height)
    }

    private func contains(_ outer: PixelBox, _ inner: PixelBox) -> Bool { outer.union(inner) == outer }

    @Test(arguments: 0..<300)
    func aCutHasTheHoleAndItsSurroundings(number: Int) throws {
        let drawn = try Case(number)
        let (width, height) = (drawn.photograph.width, drawn.photograph.height)
        let hole = try #require(drawn.mask.hole)
        let cut = drawn.plan.cut(around: hole)
        let picture = cut.picture
        #expect(contains(PixelBox(x: 0..<width, y: 0..<height), box(cut)))
        // All kept pixels that count for the blend.
        #expect(contains(box(cut), hole.padded(by: drawn.feather + 1, inside: (width, height))))
        if drawn.padding.rawValue == "40" {
            #expect(contains(box(cut), hole.padded(by: 40, inside: (width, height))))
        }
        #expect(picture.width % drawn.model.factor == 0 && picture.height % drawn.model.factor == 0)
        // Nothing is enlarged, unless the photograph is smaller than a cell of the latent.
        #expect(cut.width >= min(picture.width, width) && cut.height >= min(picture.height, height))
        if width >= drawn.model.factor { #expect(picture.width <= width) }
        if height >= drawn.model.factor { #expect(picture.height <= height) }
        // The picture's aspect, to the pixel, wherever the photograph goes on.
        if cut.width < width && cut.height < height {
            let skew = cut.width * picture.height - cut.height * picture.width
            #expect(abs(skew) < max(picture.width, picture.height), "\(cut)")
        }
        if let side = drawn.model.trainedSide {
            #expect(picture.width * picture.height <= 4 * side * side)
        }
        let scale =
            (Double(picture.width * picture.height) / Double(cut.width * cut.height)).squareRoot()
        #expect(abs(cut.scale - scale) <= 5e-5)
    }

    @Test(arguments: 0..<300)
    func cutsAreApart(number: Int) throws {
        let drawn = try Case(number)
        let cuts = try drawn.plan.cuts(of: drawn.mask, each: true)
        #expect(!cuts.isEmpty)
        for (index, cut) in cuts.enumerated() {
            for other in cuts[..<index] { #expect(!box(cut).overlaps(box(other))) }
        }
        // Every pixel that is repainted is in a cut.
        var rest = drawn.mask.values
        for cut in cuts {
            for y in box(cut).y { for x in box(cut).x { rest[y * drawn.mask.width + x] = 0 } }
        }
        #expect(!rest.contains(1))
        #expect(try drawn.plan.cuts(of: drawn.mask, each: false).count == 1)
    }

    @Test func holesThatAreFarApartHaveCutsOfTheirOwn() throws {
        let photograph = PictureSize(width: 4000, height: 3000)
        let model = ModelSizes(factor: 8, coarsestFactor: 64, trainedSide: 512)
        let plan = try CutPlan(
            photograph: photograph, model: model, asked: nil,
            padding: try #require(AreaPadding(rawValue: "50%")), feather: 4)
        var values = [UInt8](repeating: 0, count: 4000 * 3000)
        func paint(_ xs: Range<Int>, _ ys: Range<Int>) { for y in ys { for x in xs { values[y * 4000 + x] = 1 } } }
        paint(100..<400, 100..<300)
        paint(420..<500, 100..<300)
        paint(3000..<3900, 2000..<2900)
        let mask = BinaryMask(width: 4000, height: 3000, values: values)
        let cuts = try plan.cuts(of: mask, each: true)
        #expect(
            cuts == [
                PictureCut(x: 0, y: 0, width: 715, height: 500, picture: PictureSize(width: 640, height: 448)),
                PictureCut(x: 2550, y: 1550, width: 1450, height: 1450, picture: PictureSize(width: 512, height: 512)),
            ])
        #expect(try plan.cuts(of: mask, each: false).map(\.x) == [0])
        // An asked size decides the aspect.
        let asked = try CutPlan(
            photograph: photograph, model: model, asked: PictureSize(width: 640, height: 320),
            padding: try #require(AreaPadding(rawValue: "0")), feather: 4)
        #expect(
            asked.cut(around: PixelBox(x: 3000..<3900, y: 2000..<2900))
                == PictureCut(x: 2180, y: 1995, width: 1820, height: 910, picture: PictureSize(width: 640, height: 320))
        )
    }

    /// Specks all over are refused, before each of them is hours of work.
    @Test func tooManyCutsAreRefused() throws {
        let side = 4096
        var values = [UInt8](repeating: 0, count: side * side)
        for y in stride(from: 200, to: side, by: 400) {
            for x in stride(from: 200, to: side, by: 400) { values[y * side + x] = 1 }
        }
        let mask = BinaryMask(width: side, height: side, values: values)
        let plan = try CutPlan(
            photograph: PictureSize(width: side, height: side),
            model: ModelSizes(factor: 8, coarsestFactor: 16, trainedSide: 64), asked: nil,
            padding: try #require(AreaPadding(rawValue: "50%")), feather: 4)
        let failure = #expect(throws: Failure.self) { try plan.cuts(of: mask, each: true) }
        #expect(failure?.message.contains("100 holes that are far apart") == true, "\(failure?.message ?? "")")
    }

    @Test(arguments: ["", "%", "-1", "5.5", "1e3", "100001", "1001%", "50 %", "99999999999999999999"])
    func paddingsThatAreNone(text: String) { #expect(AreaPadding(rawValue: text) == nil) }
}

/// Numbers by lot, the same in every run.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
}
