import Failures
import Foundation
import ImageFiles
import InpaintingJobs
import Synchronization
import Testing

/// Results in other formats than 8-bit PNG.
@Suite struct FormatJobTests {
    private static let colours =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path()
        + "ImageFilesTests/Fixtures/Colour/"

    /// What was said of the job.
    @discardableResult
    private func paint(
        _ name: String, in folder: BatchFolder, _ change: (inout JobDraft) -> Void = { _ in }
    ) async throws -> [String] {
        var draft = folder.defaults
        draft.output = folder.file(name)
        change(&draft)
        let (settings, outputs) = draft.finished()
        let said = Mutex<[String]>([])
        let job = try InpaintingJob(settings: settings, outputs: outputs).prepared(for: folder.model) { event in
            switch event {
            case .warning(let text), .note(let text): said.withLock { $0.append(text) }
            default: break
            }
        }
        try await job.run(
            on: FakeEngine(folder.model.description, jobsInFlight: 1, slowest: 0), ledger: PhaseLedger())
        return said.withLock { $0 }
    }

    @Test func aJPEGHasTheRecordAndThePhotographsMetadata() async throws {
        let folder = try BatchFolder()
        // As wide.jpg is held.
        let mask = (0..<48 * 64).flatMap { [UInt8](repeating: $0 / 48 < 30 ? 255 : 0, count: 3) }
        try RGBImage(width: 48, height: 64, bytes: mask).writePNG(to: folder.file("mask.png"))
        for (name, quality) in [("a.jpg", nil), ("b.JPEG", 60)] as [(String, Int?)] {
            let said = try await paint(name, in: folder) { draft in
                draft.image = Self.colours + "wide.jpg"
                draft.settings.jpegQuality = quality
            }
            let words = "JPEG of quality \(quality ?? 95) changes kept pixels"
            #expect(said.count { $0.contains(words) } == 1, "\(said)")
            let result = try DecodedImage.read(folder.file(name))
            #expect(try result.metadata == DecodedImage.read(Self.colours + "wide.jpg").metadata)
            #expect(result.textChunks.map(\.keyword) == ["parameters", "pilot"])
            #expect(try JobRecord(fromResult: folder.file(name)).settings.jpegQuality == quality ?? 95)
        }
        // The same as lines of a batch, which know them again, and as the repetition of recorded jobs.
        let image = "\(Self.colours)wide.jpg"
        let lines = [
            #"{"output": "a.jpg", "image": "\#(image)"}"#,
            #"{"output": "b.JPEG", "image": "\#(image)", "jpeg_quality": 60}"#,
            #"{"output": "again.jpg", "from": "\#(folder.file("b.JPEG"))"}"#,
            #"{"output": "plain.png", "from": "\#(folder.file("b.JPEG"))"}"#,
        ]
        try await folder.run(try folder.setup(lines))
        for (name, other) in [("a.jpg", "a.jpg"), ("b.JPEG", "b.JPEG"), ("again.jpg", "b.JPEG")] {
            #expect(try folder.contents(name) == Data(contentsOf: URL(filePath: folder.file(other))), "\(name)")
        }
        #expect(try JobRecord(fromResult: folder.output("plain.png")).settings.jpegQuality == nil)
        let again = try await folder.run(try folder.setup(lines))
        #expect(again.entries.allSatisfy { $0.result.status == .present })
    }

    static let hasWebP = (try? RGBImage.checkWritesWebP(to: "a.webp", by: "--output")) != nil

    @Test(.enabled(if: hasWebP, "there is no libwebp here: apt-get install libwebp7"))
    func aWebPHasThePixelsTheRecordAndThePhotographsMetadata() async throws {
        let folder = try BatchFolder()
        // As wide.jpg is held.
        let mask = (0..<48 * 64).flatMap { [UInt8](repeating: $0 / 48 < 30 ? 255 : 0, count: 3) }
        try RGBImage(width: 48, height: 64, bytes: mask).writePNG(to: folder.file("mask.png"))
        let image = "\(Self.colours)wide.jpg"
        try await paint("a.png", in: folder) { $0.image = image }
        for (name, quality) in [("a.webp", nil), ("b.WEBP", 60)] as [(String, Int?)] {
            let said = try await paint(name, in: folder) { draft in
                draft.image = image
                if let quality { draft.settings.setQuality(quality) }
            }
            #expect(said.count { $0.contains("WebP of quality 60 changes kept pixels") } == (quality == nil ? 0 : 1))
            let result = try DecodedImage.read(folder.file(name))
            #expect(try result.metadata == DecodedImage.read(image).metadata)
            #expect(result.textChunks.map(\.keyword) == ["parameters", "pilot"])
            #expect(try (result.rgb == DecodedImage.read(folder.file("a.png")).rgb) == (quality == nil))
            let settings = try JobRecord(fromResult: folder.file(name)).settings
            #expect(settings.webp == quality.map { .quality($0) } ?? .lossless && settings.jpegQuality == nil)
        }
        let lines = [
            #"{"output": "a.webp", "image": "\#(image)"}"#,
            #"{"output": "b.WEBP", "image": "\#(image)", "quality": 60}"#,
            #"{"output": "again.webp", "from": "\#(folder.file("b.WEBP"))"}"#,
            #"{"output": "plain.png", "from": "\#(folder.file("b.WEBP"))"}"#,
            // A WebP picture is as good as any other for a photograph.
            #"{"output": "next.png", "image": "\#(folder.file("a.webp"))"}"#,
        ]
        try await folder.run(try folder.setup(lines))
        for (name, other) in [
            ("a.webp", "a.webp"), ("b.WEBP", "b.WEBP"), ("again.webp", "b.WEBP"), ("plain.png", "a.png"),
        ] {
            #expect(try folder.contents(name) == Data(contentsOf: URL(filePath: folder.file(other))), "\(name)")
        }
        #expect(try JobRecord(fromResult: folder.output("next.png")).edits?.count == 1)
        let again = try await folder.run(try folder.setup(lines))
        #expect(again.entries.allSatisfy { $0.result.status == .present })
        // Another kind of file, or another quality, is another result.
        for line in [
            #"{"output": "a.webp", "image": "\#(image)", "quality": 60}"#,
            #"{"output": "b.WEBP", "image": "\#(image)"}"#,
        ] {
            await #expect(throws: Failure.self) { try await folder.run(try folder.setup([line])) }
        }
    }

    @Test func sixteenBitsStay() async throws {
        let folder = try BatchFolder()
        let photograph = try DecodedImage.read(folder.file("image.png")).rgb
        let samples = photograph.bytes.enumerated().map { (index: Int, byte: UInt8) -> UInt16 in
            UInt16(byte) << 8 | UInt16(index * 37 & 255)
        }
        let deep = DeepImage(width: photograph.width, height: photograph.height, samples: samples)
        try Data(deep.withPNG(of: PictureMetadata()) { [UInt8]($0) }).write(to: URL(filePath: folder.file("deep.png")))
        try await paint("shallow-result.png", in: folder) { $0.settings.feather = 0 }
        try await paint("a.png", in: folder) { draft in
            draft.image = folder.file("deep.png")
            draft.settings.feather = 0
        }
        let file = Array(try Data(contentsOf: URL(filePath: folder.file("a.png"))))
        let decoded = try DecodedImage.decode(file, path: "a.png")
        let result = try #require(try decoded.deep(file))
        // The networks see the same 8 bits of both, and paint the same.
        let painted = try DecodedImage.read(folder.file("shallow-result.png")).rgb.bytes
        let mask = try DecodedImage.read(folder.file("mask.png")).grey.binaryMask().values
        for (index, sample) in result.samples.enumerated() {
            let expected = mask[index / 3] == 1 ? 257 * UInt16(painted[index]) : samples[index]
            #expect(sample == expected)
        }
        let said = try await paint("a.jpg", in: folder) { $0.image = folder.file("deep.png") }
        #expect(said.count { $0.contains("8 bits a sample of the image's 16") } == 1)
    }
}
