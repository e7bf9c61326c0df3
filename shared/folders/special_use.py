"""The folders that every mail program has under a name of its own: tells their use by attribute and by name.

Attributes (RFC 6154, and the older XLIST's spellings) are what a server says; names are what programs and providers
have called these folders, by language, and count when the server says nothing. Names are compared without regard to
case.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping

#: The uses whose folders are brought together on both sides. The others (all, flagged, important) are views of messages
#: that lie elsewhere, or have no equal at the destination.
MAPPED = ("sent", "drafts", "trash", "junk", "archive")

#: Attributes in lower case without the backslash → use.
ATTRIBUTES: Mapping[str, str] = {
    "sent": "sent",
    "drafts": "drafts",
    "trash": "trash",
    "junk": "junk",
    "spam": "junk",
    "archive": "archive",
    "all": "all",
    "allmail": "all",
    "flagged": "flagged",
    "starred": "flagged",
    "important": "important",
}

#: The names of each use's folder; the likeliest first. No name stands twice.
NAMES: Mapping[str, tuple[str, ...]] = {
    "sent": (
        # English: servers, Outlook, iCloud and Apple Mail, Gmail, Lotus
        "Sent",
        "Sent Items",
        "Sent Messages",
        "Sent Mail",
        "Sent-Mail",
        "Sent Objects",
        "Отправленные",
        "Отправленные сообщения",
        "Отправленные письма",  # Russian
        "Надіслані",
        "Надіслані листи",
        "Відправлені",  # Ukrainian
        "Адпраўленыя",
        "Дасланыя",  # Belarusian
        "Жіберілгендер",
        "Жіберілген",  # Kazakh
        "Gesendet",
        "Gesendete Objekte",
        "Gesendete Elemente",
        "Gesendete Nachrichten",  # German
        "Envoyés",
        "Messages envoyés",
        "Éléments envoyés",
        "Objets envoyés",
        "Courrier envoyé",  # French
        "Enviados",
        "Elementos enviados",
        "Mensajes enviados",
        "Correo enviado",  # Spanish
        "Itens enviados",
        "Mensagens enviadas",
        "Enviadas",
        "E-mails enviados",
        "Enviado",  # Portuguese
        "Inviata",
        "Posta inviata",
        "Inviati",
        "Messaggi inviati",
        "Elementi inviati",  # Italian
        "Verzonden",
        "Verzonden items",
        "Verzonden berichten",  # Dutch
        "Wysłane",
        "Elementy wysłane",
        "Wiadomości wysłane",  # Polish
        "Odeslaná pošta",
        "Odeslané",
        "Odeslané zprávy",  # Czech
        "Odoslané",
        "Odoslaná pošta",
        "Odoslané položky",  # Slovak
        "Skickat",
        "Skickade objekt",
        "Skickade",
        "Skickade meddelanden",  # Swedish
        "Sendt",
        "Sendt post",
        "Sendte elementer",
        "Sendte",
        "Sendte meldinger",  # Danish, Norwegian
        "Lähetetyt",
        "Lähetetyt viestit",  # Finnish
        "Saadetud",
        "Saadetud kirjad",
        "Nosūtītie",
        "Nosūtītās",
        "Išsiųsta",
        "Išsiųsti",  # Baltic
        "Gönderilmiş Öğeler",
        "Gönderilenler",
        "Gönderilmiş Postalar",
        "Gönderilmiş",  # Turkish
        "Elküldött",
        "Elküldött elemek",
        "Elküldött üzenetek",  # Hungarian
        "Trimise",
        "Mesaje trimise",
        "Elemente trimise",  # Romanian
        "Изпратени",
        "Изпратена поща",  # Bulgarian
        "Послато",
        "Poslato",
        "Poslano",
        "Poslane poruke",
        "Poslana pošta",  # Serbian, Croatian, Slovene
        "Απεσταλμένα",
        "Σταλμένα",  # Greek
        "送信済み",
        "送信済みアイテム",
        "送信済みメール",  # Japanese
        "已发送",
        "已发送邮件",
        "已傳送",
        "寄件備份",
        "已传送",  # Chinese
        "보낸편지함",
        "보낸 편지함",
        "보낸 메일함",
        "보낸메일함",  # Korean
        "المرسل",
        "البريد المرسل",
        "العناصر المرسلة",  # Arabic
        "נשלח",
        "דואר שנשלח",
        "פריטים שנשלחו",  # Hebrew
        "Thư đã gửi",
        "Đã gửi",  # Vietnamese
    ),
    "drafts": (
        "Drafts",
        "Draft",
        "Draft Messages",
        "Черновики",
        "Чернетки",
        "Чарнавікі",
        "Жобалар",
        "Шимайлар",
        "Entwürfe",
        "Entwurf",
        "Brouillons",
        "Brouillon",
        "Borradores",
        "Borrador",
        "Rascunhos",
        "Rascunho",
        "Bozze",
        "Bozza",
        "Concepten",
        "Klad",
        "Szkice",
        "Kopie robocze",
        "Wersje robocze",
        "Robocze",
        "Koncepty",
        "Rozepsané",
        "Rozpísané",
        "Utkast",
        "Kladder",
        "Kladde",
        "Luonnokset",
        "Mustandid",
        "Melnraksti",
        "Juodraščiai",
        "Taslaklar",
        "Taslak",
        "Piszkozatok",
        "Vázlatok",
        "Ciorne",
        "Schițe",
        "Чернови",
        "Нацрти",
        "Nacrti",
        "Skice",
        "Osnutki",
        "Πρόχειρα",
        "Προσχέδια",
        "下書き",
        "草稿",
        "草稿箱",
        "草稿匣",
        "草稿夹",
        "임시보관함",
        "임시 보관함",
        "المسودات",
        "مسودات",
        "טיוטות",
        "Thư nháp",
        "Bản nháp",
    ),
    "trash": (
        "Trash",
        "Deleted Items",
        "Deleted Messages",
        "Deleted",
        "Bin",
        "Recycle Bin",
        "Wastebasket",
        "Корзина",
        "Удаленные",
        "Удалённые",
        "Удаленное",
        "Удаленные сообщения",
        "Кошик",
        "Видалені",
        "Смітник",
        "Сметніца",
        "Кошык",
        "Себет",
        "Жойылғандар",
        "Papierkorb",
        "Gelöscht",
        "Gelöschte Objekte",
        "Gelöschte Elemente",
        "Corbeille",
        "Éléments supprimés",
        "Messages supprimés",
        "Poubelle",
        "Papelera",
        "Elementos eliminados",
        "Papelera de reciclaje",
        "Eliminados",
        "Lixeira",
        "Itens excluídos",
        "Itens eliminados",
        "Excluídos",
        "Reciclagem",
        "Cestino",
        "Posta eliminata",
        "Elementi eliminati",
        "Eliminata",
        "Prullenbak",
        "Prullenmand",
        "Verwijderde items",
        "Verwijderd",
        "Kosz",
        "Elementy usunięte",
        "Usunięte",
        "Koš",
        "Odstraněná pošta",
        "Odstraněné",
        "Kôš",
        "Odstránená pošta",
        "Odstránené položky",
        "Papperskorgen",
        "Borttaget",
        "Papperskorg",
        "Papirkurv",
        "Slettet post",
        "Slettede elementer",
        "Papirkurven",
        "Slettet",
        "Roskakori",
        "Poistetut",
        "Prügikast",
        "Miskaste",
        "Atkritne",
        "Šiukšlinė",
        "Šiukšliadėžė",
        "Çöp Kutusu",
        "Silinmiş Öğeler",
        "Çöp",
        "Silinmiş Postalar",
        "Kuka",
        "Törölt elemek",
        "Lomtár",
        "Törölt",
        "Coș de gunoi",
        "Gunoi",
        "Elemente șterse",
        "Coș",
        "Кошче",
        "Изтрити",
        "Смеће",
        "Otpad",
        "Smeće",
        "Smetnjak",
        "Koš za smeti",
        "Obrisano",
        "Κάδος απορριμμάτων",
        "Διαγραμμένα",
        "Απορρίμματα",
        "Κάδος",
        "ゴミ箱",
        "ごみ箱",
        "削除済みアイテム",
        "已删除",
        "已删除邮件",
        "垃圾桶",
        "刪除的郵件",
        "已刪除",
        "回收站",
        "废件箱",
        "휴지통",
        "지운 편지함",
        "المهملات",
        "سلة المهملات",
        "العناصر المحذوفة",
        "אשפה",
        "פריטים שנמחקו",
        "Thùng rác",
        "Thư đã xóa",
    ),
    "junk": (
        "Junk",
        "Spam",
        "Junk E-mail",
        "Junk Email",
        "Junk Mail",
        "Bulk Mail",
        "Bulk",
        "Спам",
        "Нежелательная почта",
        "Нежелательные",
        "Небажана пошта",
        "Небажані",
        "Junk-E-Mail",
        "Spamverdacht",
        "Unerwünscht",
        "Indésirables",
        "Courrier indésirable",
        "Pourriel",
        "Courriers indésirables",
        "Correo no deseado",
        "No deseado",
        "Lixo eletrônico",
        "Lixo eletrónico",
        "Correio eletrónico não solicitado",
        "Lixo Electrónico",
        "Posta indesiderata",
        "Indesiderata",
        "Ongewenste e-mail",
        "Ongewenst",
        "Wiadomości-śmieci",
        "Wiadomości śmieci",
        "Niechciane",
        "Nevyžádaná pošta",
        "Nevyžádané",
        "Nevyžiadaná pošta",
        "Skräppost",
        "Skräp",
        "Uønsket",
        "Uønsket post",
        "Uønsket e-post",
        "Søppelpost",
        "Roskaposti",
        "Rämpspost",
        "Surogātpasts",
        "Mēstules",
        "Brukalas",
        "Gereksiz",
        "Önemsiz",
        "Önemsiz E-posta",
        "İstenmeyen",
        "Levélszemét",
        "Mesaje nedorite",
        "Nedorite",
        "Нежелана поща",
        "Нежељена пошта",
        "Neželjena pošta",
        "Vsiljena pošta",
        "Ανεπιθύμητα",
        "Ανεπιθύμητη αλληλογραφία",
        "迷惑メール",
        "スパム",
        "垃圾邮件",
        "垃圾郵件",
        "스팸",
        "스팸 편지함",
        "스팸편지함",
        "정크 메일",
        "스팸메일함",
        "البريد غير الهام",
        "البريد العشوائي",
        "غير المرغوب",
        "דואר זבל",
        "ספאם",
        "Thư rác",
    ),
    "archive": (
        "Archive",
        "Archives",
        "Archived",
        "Архив",
        "Архів",
        "Архіў",
        "Мұрағат",
        "Archiv",
        "Archivo",
        "Archivados",
        "Arquivo",
        "Arquivados",
        "Archivio",
        "Archief",
        "Archiwum",
        "Archív",
        "Arkiv",
        "Arkisto",
        "Arhiiv",
        "Arhīvs",
        "Archyvas",
        "Arşiv",
        "Archívum",
        "Arhivă",
        "Arhiva",
        "Архива",
        "Arhiv",
        "Αρχείο",
        "Αρχειοθήκη",
        "アーカイブ",
        "归档",
        "封存",
        "存档",
        "보관함",
        "보관 편지함",
        "الأرشيف",
        "أرشيف",
        "ארכיון",
        "Lưu trữ",
    ),
}

#: Other words that people use for a use.
SPOKEN: Mapping[str, str] = {
    "spam": "junk",
    "deleted": "trash",
    "draft": "drafts",
    "starred": "flagged",
    "allmail": "all",
}

#: The folders below which providers keep folders with a use.
CONTAINERS = frozenset({"inbox", "[gmail]", "[google mail]"})


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()


_BY_NAME = {_plain(name): (use, rank) for use, names in NAMES.items() for rank, name in enumerate(names)}


def use_of_attributes(attributes: Collection[str]) -> str:
    """Returns the use that the server names, "" when it names none.

    Of several, the one that stands first in `ATTRIBUTES`.
    """
    return next((use for attribute, use in ATTRIBUTES.items() if attribute in attributes), "")


def use_of_name(levels: tuple[str, ...]) -> tuple[str, int]:
    """Returns (use, rank) of a folder by its name; lower ranks are likelier. ("", 0) for a name that says nothing.

    A name counts only at the top, below INBOX and below ``[Gmail]``: ``Clients/Sent`` is an ordinary folder of the
    user's.
    """
    if not levels or len(levels) > 2 or (len(levels) == 2 and _plain(levels[0]) not in CONTAINERS):
        return "", 0
    return _BY_NAME.get(_plain(levels[-1]), ("", 0))


def uses(folders: Iterable[tuple[Collection[str], tuple[str, ...]]]) -> list[str]:
    """Returns the use of each of an account's folders (attributes, decoded levels), "" for none.

    A name counts only for uses that the server marks no folder with: where it marks one, ``Trash`` is an ordinary
    folder of the user's.
    """
    listed = list(folders)
    said = [use_of_attributes(attributes) for attributes, _ in listed]
    marked = set(said)
    return [
        use or (named if (named := use_of_name(levels)[0]) not in marked else "")
        for use, (_, levels) in zip(said, listed, strict=True)
    ]
