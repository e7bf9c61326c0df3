// Serves IMAP with the go-imap library and its memory backend, on loopback.
//
// Usage: server PORT ACCOUNTS, where each line of the file ACCOUNTS is LOGIN, a tab and PASSWORD. The file is read at
// each sign-in. The library's backend has one account, so each account here is a backend of its own. The backend has
// no locks, so a lock around each of its calls is added.
package main

import (
	"bufio"
	"errors"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap"
	"github.com/emersion/go-imap/backend"
	"github.com/emersion/go-imap/backend/memory"
	"github.com/emersion/go-imap/server"
)

type accounts struct {
	path  string
	lock  sync.Mutex
	users map[string]*user
}

type user struct {
	backend.User
	name string
	lock sync.Mutex
}

type mailbox struct {
	backend.Mailbox
	owner *user
}

func (a *accounts) Login(_ *imap.ConnInfo, login, password string) (backend.User, error) {
	a.lock.Lock()
	defer a.lock.Unlock()
	file, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if lines.Text() == login+"\t"+password {
			return a.user(login)
		}
	}
	return nil, backend.ErrInvalidCredentials
}

// user returns the account, and makes it at the first sign-in, without the sample message of the library.
func (a *accounts) user(login string) (backend.User, error) {
	if found, ok := a.users[login]; ok {
		return found, nil
	}
	inner, err := memory.New().Login(nil, "username", "password")
	if err != nil {
		return nil, err
	}
	inbox, err := inner.GetMailbox("INBOX")
	if err != nil {
		return nil, err
	}
	inbox.(*memory.Mailbox).Messages = nil
	a.users[login] = &user{User: inner, name: login}
	return a.users[login], nil
}

func (u *user) Username() string { return u.name }

func (u *user) ListMailboxes(subscribed bool) ([]backend.Mailbox, error) {
	u.lock.Lock()
	defer u.lock.Unlock()
	found, err := u.User.ListMailboxes(subscribed)
	for i := range found {
		found[i] = &mailbox{found[i], u}
	}
	return found, err
}

func (u *user) GetMailbox(name string) (backend.Mailbox, error) {
	u.lock.Lock()
	defer u.lock.Unlock()
	if strings.EqualFold(name, "INBOX") {
		name = "INBOX"
	}
	found, err := u.User.GetMailbox(name)
	if err != nil {
		return nil, backend.ErrNoSuchMailbox // the library's backend would have APPEND answer without [TRYCREATE]
	}
	return &mailbox{found, u}, nil
}

func (u *user) CreateMailbox(name string) error {
	u.lock.Lock()
	defer u.lock.Unlock()
	return u.User.CreateMailbox(name)
}

func (u *user) DeleteMailbox(name string) error {
	u.lock.Lock()
	defer u.lock.Unlock()
	return u.User.DeleteMailbox(name)
}

func (u *user) RenameMailbox(old, fresh string) error {
	u.lock.Lock()
	defer u.lock.Unlock()
	return u.User.RenameMailbox(old, fresh)
}

func (m *mailbox) Status(items []imap.StatusItem) (*imap.MailboxStatus, error) {
	m.owner.lock.Lock()
	defer m.owner.lock.Unlock()
	return m.Mailbox.Status(items)
}

func (m *mailbox) SetSubscribed(subscribed bool) error {
	m.owner.lock.Lock()
	defer m.owner.lock.Unlock()
	return m.Mailbox.SetSubscribed(subscribed)
}

// ListMessages copies the messages under the lock, then hands them to the connection, which may be slow.
func (m *mailbox) ListMessages(uid bool, set *imap.SeqSet, items []imap.FetchItem, out chan<- *imap.Message) error {
	defer close(out)
	inner := make(chan *imap.Message)
	failed := make(chan error, 1)
	var found []*imap.Message
	m.owner.lock.Lock()
	go func() { failed <- m.Mailbox.ListMessages(uid, set, items, inner) }()
	for message := range inner {
		found = append(found, message)
	}
	m.owner.lock.Unlock()
	for _, message := range found {
		out <- message
	}
	return <-failed
}

func (m *mailbox) SearchMessages(uid bool, criteria *imap.SearchCriteria) ([]uint32, error) {
	m.owner.lock.Lock()
	defer m.owner.lock.Unlock()
	return m.Mailbox.SearchMessages(uid, criteria)
}

func (m *mailbox) CreateMessage(flags []string, date time.Time, body imap.Literal) error {
	m.owner.lock.Lock()
	defer m.owner.lock.Unlock()
	return m.Mailbox.CreateMessage(flags, date, body)
}

func (m *mailbox) UpdateMessagesFlags(uid bool, set *imap.SeqSet, operation imap.FlagsOp, flags []string) error {
	m.owner.lock.Lock()
	defer m.owner.lock.Unlock()
	return m.Mailbox.UpdateMessagesFlags(uid, set, operation, flags)
}

func (m *mailbox) CopyMessages(uid bool, set *imap.SeqSet, folder string) error {
	m.owner.lock.Lock()
	defer m.owner.lock.Unlock()
	return m.Mailbox.CopyMessages(uid, set, folder)
}

func (m *mailbox) Expunge() error {
	m.owner.lock.Lock()
	defer m.owner.lock.Unlock()
	return m.Mailbox.Expunge()
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal(errors.New("usage: server PORT ACCOUNTS"))
	}
	served := server.New(&accounts{path: os.Args[2], users: map[string]*user{}})
	served.Addr = "127.0.0.1:" + os.Args[1]
	served.AllowInsecureAuth = true
	log.Fatal(served.ListenAndServe())
}
