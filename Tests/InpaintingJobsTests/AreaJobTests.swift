import Failures
import Foundation
import ImageFiles
import InpaintingJobs
import PilotInpainting
import Synchronization
import TensorKernels
import Testing

/// Jobs on cuts of a photograph, on a fake machine. The fixture's model was trained at 64 x 64.
@Suite struct AreaJobTests {
    private static let holes = [PixelBox(x: 20..<60, y: 30..<58), PixelBox(x: 330..<371, y: 180..<220)]
    private static let (width, height) = (400, 260)

    /// Writes a photograph of noise, and a mask with these holes.
    private func draw(_ holes: [PixelBox], mask name: String = "mask.png", in folder: BatchFolder) throws {
        let (width, height) = (Self.width, Self.height)
        let noise = (0..<3 * width * height).map { (index: Int) -> UInt8 in
            UInt8(truncatingIfNeeded: (index &* 2_654_435_761) >> 13)
        }
        try RGBImage(width: width, height: height, bytes: noise).writePNG(to: folder.file("image.png"))
        let mask = (0..<width * height).flatMap { pixel in
            let isHole = holes.contains { $0.x.contains(pixel % width) && $0.y.contains(pixel / width) }
            return [UInt8](repeating: isHole ? 255 : 0, count: 3)
        }
        try RGBImage(width: width, height: height, bytes: mask).writePNG(to: folder.file(name))
    }

    @discardableResult
    private func paint(
        _ name: String, in folder: BatchFolder, _ change: (inout JobDraft) -> Void = { _ in }
    ) async throws -> RGBImage {
        var draft = folder.defaults
        draft.output = folder.file(name)
        change(&draft)
        let (settings, outputs) = draft.finished()
        let job = try InpaintingJob(settings: settings, outputs: outputs).prepared(for: folder.model) { _ in }
        try await job.run(
            on: FakeEngine(folder.model.description, jobsInFlight: 1, slowest: 0), ledger: PhaseLedger())
        return try DecodedImage.read(folder.file(name)).rgb
    }

    private func isKept(_ pixel: Int, _ holes: [PixelBox]) -> Bool {
        !holes.contains { $0.x.contains(pixel % Self.width) && $0.y.contains(pixel / Self.width) }
    }

    @Test func keptPixelsStayAndTheCutIsRecorded() async throws {
        let folder = try BatchFolder()
        try draw(Self.holes, in: folder)
        let before = try DecodedImage.read(folder.file("image.png")).rgb
        for (name, each, cutCount) in [("one.png", false, 1), ("each.png", true, 2)] {
            let after = try await paint(name, in: folder) { $0.settings.areaEach = each }
            var changed = 0
            var areKept = true
            for pixel in 0..<Self.width * Self.height {
                let isSame = before.bytes[3 * pixel..<3 * pixel + 3] == after.bytes[3 * pixel..<3 * pixel + 3]
                if isKept(pixel, Self.holes) { areKept = areKept && isSame } else if !isSame { changed += 1 }
            }
            #expect(areKept && changed > 1000)
            let record = try JobRecord(fromResult: folder.file(name))
            #expect(record.settings.area == .mask)
            #expect(record.settings.areaPadding?.rawValue == "50%")
            #expect(record.settings.areaEach == (each ? true : nil))
            let cuts = try #require(record.cuts)
            #expect(cuts.count == cutCount)
            #expect(cuts.allSatisfy { $0.scale <= 1 && $0.scale > 0.1 })
        }
    }

    /// Each cut is the picture that a job on its hole alone paints, with a seed of its own.
    @Test func cutsArePicturesOfTheirOwn() async throws {
        let folder = try BatchFolder()
        try draw(Self.holes, in: folder)
        let both = try await paint("both.png", in: folder) { $0.settings.areaEach = true }
        for (number, hole) in Self.holes.enumerated() {
            try draw([hole], mask: "hole.png", in: folder)
            let alone = try await paint("alone-\(number).png", in: folder) {
                $0.mask = folder.file("hole.png")
                $0.settings.method.seed = UInt64(number)
            }
            #expect(alone.cut(hole) == both.cut(hole))
            #expect(alone.cut(Self.holes[1 - number]) != both.cut(Self.holes[1 - number]))
        }
    }

    /// A photograph of ordinary size is taken whole, and its record says nothing of areas.
    @Test func ordinaryPhotographsAreTakenWhole() async throws {
        let folder = try BatchFolder()
        try await paint("auto.png", in: folder)
        try await paint("whole.png", in: folder) { $0.settings.area = .whole }
        let file = try Data(contentsOf: URL(filePath: folder.file("auto.png")))
        #expect(try file == Data(contentsOf: URL(filePath: folder.file("whole.png"))))
        let record = try JobRecord(fromResult: folder.file("auto.png"))
        #expect(record.settings.area == nil && record.settings.areaPadding == nil && record.cuts == nil)
        #expect(try !record.textChunk().text.contains("area"))
    }

    /// What is beside a picture shows the cuts.
    @Test func comparisonsPreviewsAndDumps() async throws {
        let folder = try BatchFolder()
        try draw(Self.holes, in: folder)
        let result = try await paint("a.png", in: folder) { draft in
            draft.settings.areaEach = true
            draft.extras.comparison = folder.file("strip.png")
            draft.extras.dump = folder.file("a.safetensors")
            draft.extras.preview = folder.file("previews")
        }
        let cuts = try #require(try JobRecord(fromResult: folder.file("a.png")).cuts)
        let tensors = try SafetensorsFile(path: folder.file("a.safetensors")).tensors
        for (number, cut) in cuts.enumerated() {
            let place = try #require(tensors["cut.00\(number).cut"]).float32Values()
            #expect(place == [cut.x, cut.y, cut.width, cut.height].map(Float.init))
            #expect(tensors["cut.00\(number).decoded"]?.shape == [3, cut.picture.height, cut.picture.width])
            #expect(tensors["cut.00\(number).step.000.latent"] != nil)
        }
        let previews = try FileManager.default.contentsOfDirectory(atPath: folder.file("previews"))
        #expect(previews.count == 2 && previews.count { $0.hasSuffix("-cut-2.png") } == 1, "\(previews)")
        // The first row: photograph, mask, result, blending alone, of the first cut, enlarged by a whole factor.
        let strip = try DecodedImage.read(folder.file("strip.png")).rgb
        let factor = 256 / cuts.reduce(0) { max($0, $1.width, $1.height) }
        #expect(factor >= 1)
        let cut = PixelBox(x: cuts[0].x..<cuts[0].x + cuts[0].width, y: cuts[0].y..<cuts[0].y + cuts[0].height)
        let gap = max(1, cuts[0].height / 32)
        let third = 2 * (cuts[0].width + gap) * factor
        let shown = strip.cut(
            PixelBox(x: third..<third + factor * cuts[0].width, y: 0..<factor * cuts[0].height))
        #expect(shown == RGBImage.strip([result.cut(cut)], enlarged: factor))
    }

    /// What the program has decided is known again, also where the picture is not read anew.
    @Test func rerunsKnowWhatIsThere() async throws {
        let folder = try BatchFolder()
        try draw(Self.holes, in: folder)
        let lines = [
            #"{"output": "auto.png"}"#, #"{"output": "each.png", "area_each": true, "area_padding": "20%"}"#,
            #"{"output": "whole.png", "area": "whole"}"#,
            #"{"output": "mask.png", "area": "mask", "area_padding": 12}"#,
        ]
        try await folder.run(try folder.setup(lines))
        let again = try await folder.run(try folder.setup(lines))
        #expect(again.entries.map(\.result.status) == [.present, .present, .present, .present])
        // Recorded jobs are repeated to the byte.
        for name in ["auto.png", "each.png", "whole.png", "mask.png"] {
            try await folder.run(
                try folder.setup([#"{"from": "\#(folder.output(name))", "output": "again-\#(name)"}"#]))
            #expect(try folder.contents("again-\(name)") == folder.contents(name))
        }
        let other = try folder.setup([#"{"output": "auto.png", "area_padding": "51%"}"#])
        await #expect(throws: Failure.self) { try await folder.run(other) }
    }

    @Test func paddingIsForCuts() throws {
        var settings = JobSettings(model: "m", image: "i", mask: "k", prompt: "p")
        settings.area = .whole
        settings.areaEach = true
        let failure = #expect(throws: Failure.self) { try settings.validate() }
        #expect(failure?.kind == .usage && failure?.message.contains("--area whole") == true)
    }
}
